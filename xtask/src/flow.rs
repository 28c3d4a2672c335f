//! The verbs: back up, restore, drill, publish. They reach the world through the ports only and hold no engine's knowledge.

pub mod adopt;
pub mod audit;
pub mod backup;
pub mod child;
pub mod diagnose;
pub mod drill;
pub mod marks;
pub mod mutate;
pub mod open_pgp;
pub mod plan;
pub mod prove;
pub mod prune;
pub mod publish;
pub mod recover;
pub mod restore;
pub mod routes;
pub mod session;
pub mod stall;
pub mod strike;
pub mod survey;
pub mod verify;
pub mod visit;
pub mod world;
