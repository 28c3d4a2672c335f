//! (room under construction)

pub mod publish;
