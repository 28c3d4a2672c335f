//! The one integration-test binary: what the toolkit promises, tried on real servers and real files.

mod postgres_engine;
