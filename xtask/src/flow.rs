//! The verbs: back up, restore, drill, publish. They reach the world through the ports only and hold no engine's knowledge.

pub mod backup;
pub mod child;
pub mod diagnose;
pub mod drill;
pub mod marks;
pub mod plan;
pub mod prove;
pub mod publish;
pub mod restore;
pub mod session;
pub mod strike;
pub mod visit;
pub mod world;
