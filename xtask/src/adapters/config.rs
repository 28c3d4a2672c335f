//! Turns `recovery.yaml` and Compose files into stacks.
mod node; mod source; mod yaml;
