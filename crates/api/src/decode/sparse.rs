//! Some fields of a JSON object, read without decoding the rest of it.

use json::{Map, Value};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The parts of `bytes` that lie on one of `paths` (`spec.nodeName`); what lies beside them is skipped over. Where a path ends, all
/// that is there is taken; `name[0]` takes the whole list `name`. A path that meets anything but an object finds nothing.
///
/// Meant for bytes that were encoded here: what is skipped is not checked. Fails on what is no JSON up to its end.
pub fn sparse(bytes: &[u8], paths: &[&str]) -> Result<Value, json::Error> {
    let mut reader = json::Deserializer::from_slice(bytes);
    let found = On(paths).deserialize(&mut reader)?;
    reader.end()?;
    Ok(found)
}

/// What lies on these paths, none of which is empty.
struct On<'a>(&'a [&'a str]);

impl<'de> DeserializeSeed<'de> for On<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for On<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut found = Map::new();
        while let Some(field) = fields.next_key_seed(Field(self.0))? {
            let Some((name, below)) = field else {
                fields.next_value::<IgnoredAny>()?;
                continue;
            };
            let whole = below.contains(&"");
            found.insert(name, if whole { fields.next_value()? } else { fields.next_value_seed(On(&below))? });
        }
        Ok(Value::Object(found))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Null)
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

/// The name of a field that lies on one of the paths, with the rest of those paths: "" for one that ends here.
struct Field<'a>(&'a [&'a str]);

impl<'de, 'a> DeserializeSeed<'de> for Field<'a> {
    type Value = Option<(String, Vec<&'a str>)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Field<'a> {
    type Value = Option<(String, Vec<&'a str>)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        let below: Vec<&str> = self.0.iter().filter_map(|path| below(path, name)).collect();
        Ok((!below.is_empty()).then(|| (name.to_owned(), below)))
    }
}

fn below<'a>(path: &'a str, name: &str) -> Option<&'a str> {
    let (step, rest) = path.split_once('.').unwrap_or((path, ""));
    match step.strip_suffix("[0]") {
        Some(list) => (list == name).then_some(""),
        None => (step == name).then_some(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use json::json;

    #[test]
    fn only_what_lies_on_a_path_is_read() {
        let bytes = br#"{"a":{"b":1,"c":{"d":[2]},"e":"\u00e9"},"f":[{"g":3}],"a2":{"b":4},"h":null}"#;
        assert_eq!(
            sparse(bytes, &["a.b", "a.c", "f[0].g"]).unwrap(),
            json!({"a": {"b": 1, "c": {"d": [2]}}, "f": [{"g": 3}]})
        );
        assert_eq!(sparse(bytes, &["h", "x.y", "a.e"]).unwrap(), json!({"a": {"e": "é"}, "h": null}));
    }

    #[test]
    fn a_path_that_meets_no_object_finds_nothing() {
        let bytes = br#"{"a":1,"b":"x","c":[{"d":1}],"d":true,"e":null,"f":-1,"g":1.5}"#;
        let paths = ["a.z", "b.z", "c.d", "d.z", "e.z", "f.z", "g.z"];
        let nothing = json!({"a": null, "b": null, "c": null, "d": null, "e": null, "f": null, "g": null});
        assert_eq!(sparse(bytes, &paths).unwrap(), nothing);
    }

    #[test]
    fn what_is_no_json_is_refused_where_it_is_read() {
        for bytes in [&b""[..], b"{", b"{}x", b"{\"a\":}", b"{\"b\":[1,}"] {
            assert!(sparse(bytes, &["a.b"]).is_err(), "{bytes:?}");
        }
    }
}
