//! What a backup does not hold although people may expect it, told from the facts of its source.
//! It must not know who reads it.

use super::client::ident;
use crate::domain::artifact::Component;

/// What no dump holds, and what this one does not because of who asked: a sentence each.
pub fn lacks(taken: &Component) -> Vec<String> {
    let fact = |key: &str| taken.facts.get(key).map(String::as_str).filter(|value| !value.is_empty());
    let role = ident(fact("asked_as").unwrap_or_default());
    let mut told = Vec::new();
    if fact("role_passwords") == Some("absent") {
        told.push(format!(
            "the passwords of the roles are not in the backup, because role {role} may not read them: after a restore set them again, \
             or now, as a superuser: GRANT pg_read_all_data TO {role};"
        ));
    }
    if let Some(mappings) = fact("hidden_user_mappings") {
        told.push(format!(
            "the options of the user mappings for {mappings} are not in the backup, because role {role} may not read them: \
             after a restore set them again, or back up as a superuser"
        ));
    }
    if let Some(tables) = fact("unkept_tables") {
        told.push(format!(
            "rows are not in the backup: {tables} belong to extensions that did not register them for dumps, so pg_dump leaves \
             their rows out: what the extension's script does not bring must be copied in another way"
        ));
    }
    if let Some(databases) = fact("other_databases") {
        told.push(format!("not in this backup: databases {databases}: each needs a store of its own"));
    }
    if let Some(subscriptions) = fact("subscriptions") {
        told.push(format!(
            "subscriptions {subscriptions} are not restored, because they would call another server: create them again after a restore"
        ));
    }
    if let Some(functions) = fact("catalog_functions") {
        told.push(format!(
            "not in this backup: functions {functions}, because no dump holds the schema pg_catalog: move them to a schema of your own"
        ));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(facts: &[(&str, &str)]) -> Vec<String> {
        lacks(&Component {
            store: "db".into(),
            engine: "postgres".into(),
            as_of_window_ms: None,
            consistent_as_of: String::new(),
            consistency: crate::domain::artifact::Consistency::Snapshot,
            facts: facts.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            files: Vec::new(),
            census: Default::default(),
        })
    }

    #[test]
    fn passwords_that_may_not_be_read_are_told() {
        assert_eq!(told(&[("role_passwords", "present"), ("asked_as", "app")]), Vec::<String>::new());
        let told = told(&[("role_passwords", "absent"), ("asked_as", "app")]);
        assert!(told[0].ends_with("GRANT pg_read_all_data TO \"app\";"), "{told:?}");
    }

    #[test]
    fn each_thing_that_no_dump_holds_has_a_sentence_that_names_it() {
        let keys = ["hidden_user_mappings", "unkept_tables", "other_databases", "subscriptions", "catalog_functions"];
        for key in keys {
            assert!(matches!(told(&[(key, "a, b")]).as_slice(), [one] if one.contains(" a, b")), "{key}");
            assert_eq!(told(&[(key, "")]), Vec::<String>::new());
        }
    }
}
