//! What `recovery.yaml` and the old variables say of the protection of backup sets. Secrets are named there, never written.
//! It must not know what a key is good for.

use super::fields::{only, text, texts, wrong};
use super::mounts::tidy;
use super::node::{Kind, Node};
use super::old_variables::{self, Encrypted, Written};
use super::secrets;
use crate::adapters::environment::Lookup;
use crate::domain::place::Place;
use crate::domain::protection::{Encryption, Protection};
use crate::domain::refusal::Refusal;
use crate::domain::secret::Secret;
use std::path::{Path, PathBuf};

/// As it is written; what is not written may be in the old variables.
#[derive(Debug, Clone, Default)]
pub(super) struct ProtectionText {
    encryption: Written<EncryptionText>,
    identities: Vec<PathBuf>,
    signing_key: Option<PathBuf>,
    trusted: Vec<String>,
}

#[derive(Debug, Clone)]
enum EncryptionText {
    Off,
    Recipients(Vec<String>),
    From(String, Place),
    File(PathBuf, Place),
}

/// The keys below `backups:` that belong here.
pub(super) const KEYS: [&str; 4] = ["encryption", "identity_files", "signing_key", "trusted_signers"];

/// Reads them; `base` is the folder that relative paths start from.
pub(super) fn read(backups: &Node, base: &Path) -> Result<ProtectionText, Refusal> {
    let path = |node: &Node, key: &str| Ok(tidy(&base.join(text(node, &format!("`{key}`"))?)));
    let all = |key: &str| backups.get(key).map(|n| texts(n, &format!("`{key}`"))).transpose();
    let identities = all("identity_files")?.unwrap_or_default();
    Ok(ProtectionText {
        encryption: backups.get("encryption").map(|n| Ok((encryption(n, base)?, n.at.place()))).transpose()?,
        identities: identities.into_iter().map(|(file, _)| tidy(&base.join(file))).collect(),
        signing_key: backups.get("signing_key").map(|n| path(n, "signing_key")).transpose()?,
        trusted: all("trusted_signers")?.unwrap_or_default().into_iter().map(|(key, _)| key).collect(),
    })
}

fn encryption(node: &Node, base: &Path) -> Result<EncryptionText, Refusal> {
    let how = "`off`, or one of `recipients: [age1…, age1…]`, `passphrase_from: NAME` and `passphrase_file: path`";
    if let Kind::Text(word, _) = &node.kind {
        return if &**word == "off" { Ok(EncryptionText::Off) } else { Err(wrong(node, "`encryption`", how)) };
    }
    only(node, "`encryption`", &["recipients", "passphrase_from", "passphrase_file"])?;
    match (node.get("recipients"), node.get("passphrase_from"), node.get("passphrase_file")) {
        (Some(list), None, None) => {
            let names: Vec<String> = texts(list, "`recipients`")?.into_iter().map(|(name, _)| name).collect();
            if names.is_empty() {
                return Err(list.at.place().refuse("`recipients` names nobody", "write public keys (age1…)"));
            }
            // Said here because the line itself must not be repeated in any message.
            if names.iter().any(|name| name.starts_with("AGE-SECRET-KEY-")) {
                return Err(list
                    .at
                    .place()
                    .refuse("a secret key among the `recipients`", "write its public key (age1…)"));
            }
            Ok(EncryptionText::Recipients(names))
        }
        (None, Some(name), None) => Ok(EncryptionText::From(text(name, "`passphrase_from`")?, name.at.place())),
        (None, None, Some(file)) => {
            Ok(EncryptionText::File(tidy(&base.join(text(file, "`passphrase_file`")?)), file.at.place()))
        }
        _ => Err(node.at.place().refuse("`encryption` must say one thing", format!("write {how}"))),
    }
}

/// With the secrets that it names, and the old variables where it says nothing.
pub(super) fn resolve(
    written: ProtectionText,
    lookup: Lookup<'_>,
    notes: &mut Vec<String>,
) -> Result<Protection, Refusal> {
    let ProtectionText { encryption, identities, signing_key, trusted } = written;
    let said = old_variables::encryption(lookup, notes)?;
    if let Some((text, at)) = &encryption {
        match (text, &said) {
            (_, Encrypted::Unsaid) | (EncryptionText::Off, Encrypted::Off) => {}
            (EncryptionText::Off, Encrypted::On(_)) => return Err(old_variables::encryption_contradicted(at)),
            (_, Encrypted::Off) => return Err(old_variables::encryption_contradicted(at)),
            (_, Encrypted::On(_)) => {}
        }
    }
    let passphrase_file = match &encryption {
        Some((EncryptionText::File(path, _), _)) => Some(path.clone()),
        _ => None,
    };
    let encryption = match encryption.map(|(text, _)| text) {
        None => match said {
            Encrypted::Unsaid => Encryption::Undecided,
            Encrypted::Off => Encryption::Off,
            Encrypted::On(Some(key)) => Encryption::Passphrase(key),
            Encrypted::On(None) => return Err(old_variables::without_key()),
        },
        Some(EncryptionText::Off) => Encryption::Off,
        Some(EncryptionText::Recipients(names)) => Encryption::Recipients(names),
        Some(EncryptionText::From(name, at)) => match lookup(&name).filter(|value| !value.is_empty()) {
            Some(value) => Encryption::Passphrase(Secret::new(value)),
            None => {
                let hint = format!("set `{name}` in the env file or the environment");
                return Err(at.refuse(format!("variable `{name}` is set nowhere, or empty"), hint));
            }
        },
        Some(EncryptionText::File(path, at)) => match secrets::content(&path)?.filter(|text| !text.is_empty()) {
            Some(value) => Encryption::Passphrase(Secret::new(value)),
            None => {
                let cause = format!("passphrase file {} is not there, or empty", path.display());
                return Err(at.refuse(cause, "create it, readable by you only"));
            }
        },
    };
    Ok(Protection { encryption, identities, signing_key, trusted, passphrase_file })
}
