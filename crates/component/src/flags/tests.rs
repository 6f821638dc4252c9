use std::io::Write;

use super::*;

const TABLE: &[Flag] = &[
    Flag::flag_file("config", "file"),
    Flag::text("secure-port", "6443", "port"),
    Flag::switch("disable-node", "no node"),
    Flag::list("disable", "", "components"),
    Flag::array("pair", "two files"),
    Flag::without_effect("contention-profiling", Kind::Bool, "false", "nothing contends"),
];

fn resolve(line: &[&str], variables: &[(&str, &str)]) -> Result<FlagSet, Error> {
    FlagSet::resolve(TABLE, line.iter().map(|word| (*word).to_owned()), |name| {
        variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn the_line_wins_over_the_environment_over_the_file_over_the_default() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "secure-port: 1\ndisable: [dns, scheduler]").unwrap();
    let path = file.path().to_str().unwrap();
    let port = |line: &[&str], variables: &[(&str, &str)]| {
        resolve(line, variables).unwrap().parse::<u16>("secure-port").unwrap()
    };
    assert_eq!(port(&[], &[]), 6443);
    assert_eq!(port(&["--config", path], &[]), 1);
    assert_eq!(port(&["--config", path], &[("KRAB_SECURE_PORT", "2")]), 2);
    assert_eq!(port(&["--config", path, "--secure-port=3"], &[("KRAB_SECURE_PORT", "2")]), 3);
    assert_eq!(resolve(&["--config", path], &[]).unwrap().list("disable"), ["dns", "scheduler"]);
}

#[test]
fn lists_take_commas_and_repetition() {
    let set = resolve(&["--disable", "dns,console", "--disable=scheduler"], &[]).unwrap();
    assert_eq!(set.list("disable"), ["dns", "console", "scheduler"]);
}

#[test]
fn the_values_of_an_array_may_have_commas() {
    let set = resolve(&["--pair=a.crt,a.key", "--pair", "b.crt,b.key:x,y"], &[]).unwrap();
    assert_eq!(set.array("pair"), ["a.crt,a.key", "b.crt,b.key:x,y"]);
}

#[test]
fn switches_need_no_value_and_refuse_nonsense() {
    assert!(resolve(&["--disable-node"], &[]).unwrap().is_set("disable-node"));
    assert!(!resolve(&["--disable-node=false"], &[]).unwrap().is_set("disable-node"));
    let error = resolve(&["--disable-node=maybe"], &[]).unwrap_err();
    assert_eq!(error.to_string(), "invalid value \"maybe\" for --disable-node: true or false is expected");
}

#[test]
fn an_unknown_flag_a_stray_word_and_a_missing_value_are_refused() {
    assert_eq!(resolve(&["--nope"], &[]).unwrap_err().to_string(), "unknown flag: --nope (see --help)");
    assert!(matches!(resolve(&["server"], &[]), Err(Error::Unexpected(_))));
    assert!(matches!(resolve(&["--secure-port"], &[]), Err(Error::MissingValue(_))));
}

#[test]
fn a_file_with_an_unknown_key_is_refused_by_name() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "no-such-flag: 1").unwrap();
    let error = resolve(&["--config", file.path().to_str().unwrap()], &[]).unwrap_err();
    assert!(error.to_string().contains("unknown flag \"no-such-flag\""), "{error}");
}

#[test]
fn inert_flags_are_accepted_and_told() {
    assert_eq!(
        resolve(&["--contention-profiling"], &[]).unwrap().without_effect(),
        [("contention-profiling", "nothing contends")]
    );
    assert!(resolve(&["--contention-profiling=false"], &[]).unwrap().without_effect().is_empty(), "it holds anyway");
    assert!(resolve(&[], &[]).unwrap().without_effect().is_empty());
}
