//! `docs/report.schema.json` against real report files, through a validator for the few keywords that the schema uses.

use super::samples;
use serde_json::Value;

fn schema() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/report.schema.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Every way in which `value` is not what `schema` says. Stricter than JSON Schema: an unknown key is a fault, so that
/// a field without its description cannot ship; and an unknown keyword is one, so that nothing goes unchecked.
fn faults(root: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let mut all = Vec::new();
    for (keyword, rule) in schema.as_object().unwrap() {
        let holds = match keyword.as_str() {
            "$ref" => {
                let target = root.pointer(rule.as_str().unwrap().trim_start_matches('#')).unwrap();
                all.extend(faults(root, target, value, at));
                true
            }
            "type" => match rule {
                Value::Array(any) => any.iter().any(|t| is(value, t)),
                one => is(value, one),
            },
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "minimum" => value.as_f64() >= rule.as_f64(),
            "maximum" => value.as_f64() <= rule.as_f64(),
            "required" => rule.as_array().unwrap().iter().all(|key| value.get(key.as_str().unwrap()).is_some()),
            "properties" => {
                for (key, inner) in value.as_object().unwrap() {
                    match rule.get(key) {
                        Some(rule) => all.extend(faults(root, rule, inner, &format!("{at}/{key}"))),
                        None => all.push(format!("{at}/{key}: not in the schema")),
                    }
                }
                true
            }
            "items" => {
                let items = value.as_array().unwrap().iter().enumerate();
                all.extend(items.flat_map(|(n, item)| faults(root, rule, item, &format!("{at}/{n}"))));
                true
            }
            "$schema" | "$defs" | "title" | "description" => true,
            unknown => panic!("the validator does not know `{unknown}`"),
        };
        if !holds {
            all.push(format!("{at}: {keyword} {rule} does not hold for {value}"));
        }
    }
    all
}

fn is(value: &Value, name: &Value) -> bool {
    match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        other => panic!("the validator does not know the type `{other}`"),
    }
}

#[test]
fn every_sample_is_what_the_schema_says() {
    let schema = schema();
    for (name, report) in samples::all() {
        let value = serde_json::to_value(&report).unwrap();
        assert_eq!(faults(&schema, &schema, &value, ""), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn the_validator_sees_each_kind_of_fault() {
    let schema = schema();
    let good = serde_json::to_value(&samples::all()[0].1).unwrap();
    let spoil = |pointer: &str, with: Value| {
        let mut value = good.clone();
        *value.pointer_mut(pointer).unwrap() = with;
        faults(&schema, &schema, &value, "")
    };
    assert_eq!(spoil("/schema", 2.into()).len(), 1);
    assert_eq!(spoil("/duration_seconds", "42".into()).len(), 1, "numbers are numbers");
    assert_eq!(spoil("/exit_code", 256.into()).len(), 1);
    assert_eq!(spoil("/drills/0/input", "dream".into()).len(), 1);
    assert_eq!(spoil("/drills/0/runs/0/number", 0.into()).len(), 1);
    assert_eq!(
        spoil("/machine", serde_json::json!({"cpus": 2, "platfrom": "linux"})).len(),
        2,
        "one missing, one unknown"
    );
}
