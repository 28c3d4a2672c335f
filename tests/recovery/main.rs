//! One test binary for everything that is tested from outside the library.

mod reports;
