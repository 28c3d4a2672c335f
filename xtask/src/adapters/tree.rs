//! (room under construction)
/// Entry.
pub fn tool(_args: &[String]) -> anyhow::Result<()> {
    anyhow::bail!("no")
}
