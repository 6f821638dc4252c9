//! What a running kube-apiserver v1.37 answered, recorded in testdata/selectors.json: empty where it accepted.

use super::{field, label};
use json::Value;

fn recorded(part: &str) -> Vec<Vec<String>> {
    let golden: Value = json::from_str(include_str!("../../testdata/selectors.json")).expect("golden is JSON");
    let rows = golden[part].as_array().expect("a list of rows").iter();
    rows.map(|row| row.as_array().expect("a row").iter().map(|c| c.as_str().expect("a cell").to_owned()).collect())
        .collect()
}

#[test]
fn label_selectors_are_accepted_and_refused_as_recorded() {
    for row in recorded("label") {
        let answer = label::Selector::parse(&row[0]).map_or_else(|error| error.to_string(), |_| String::new());
        assert_eq!(answer, row[1], "{:?}", row[0]);
    }
}

#[test]
fn field_selectors_are_accepted_and_refused_as_recorded() {
    let pods = field::Supported::of("", "v1", "Pod");
    for row in recorded("field") {
        let answer = field::Selector::parse(&row[0]).and_then(|selector| selector.convert(&pods));
        assert_eq!(answer.map_or_else(|error| error.to_string(), |_| String::new()), row[1], "{:?}", row[0]);
    }
}

#[test]
fn each_kind_supports_the_fields_recorded() {
    for row in recorded("kinds") {
        let supported = field::Supported::of(&row[0], &row[1], &row[2]);
        let answer = supported.convert(&row[3]).map_or_else(|error| error.to_string(), |_| String::new());
        assert_eq!(answer, row[4], "{row:?}");
    }
}
