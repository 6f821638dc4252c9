//! The table of commands, and how one is found: by the first word or by the name the binary is called by.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "answers to the user of the command line")]

use std::process::ExitCode;

use component::flags::{Flag, FlagSet};

use crate::{agent, certs, components, migrate, server, store};

/// One command.
struct Command {
    name: &'static str,
    /// Its name as a program, for links named like upstream's.
    program: &'static str,
    help: &'static str,
    flags: fn() -> Vec<Flag>,
    run: fn(FlagSet) -> anyhow::Result<()>,
}

impl Command {
    /// True when `words` begin with the command's name, or its program's.
    fn is_meant(&self, words: &[String]) -> bool {
        let named = self.name.split(' ').eq(words.iter().map(String::as_str).take(self.words()));
        named || words.first().is_some_and(|first| first == self.program)
    }

    /// How many words its name has.
    fn words(&self) -> usize {
        self.name.split(' ').count()
    }
}

const COMMANDS: &[Command] = &[
    Command {
        name: "server",
        program: "krab-server",
        help: "control plane and node in one process",
        flags: server::flags,
        run: server::run,
    },
    Command {
        name: "agent",
        program: "krab-agent",
        help: "a node that joins a control plane",
        flags: agent::flags,
        run: agent::run,
    },
    Command {
        name: "certs node",
        program: "krab-certs-node",
        help: "on the server: writes what `krab agent` needs to join as a node",
        flags: certs::flags,
        run: certs::node,
    },
    Command {
        name: "store check",
        program: "krab-store-check",
        help: "reads every record of the store",
        flags: store::check_flags,
        run: store::check,
    },
    Command {
        name: "store migrate",
        program: "krab-store-migrate",
        help: "copies every object between the embedded store and etcd",
        flags: migrate::flags,
        run: migrate::run,
    },
    Command {
        name: "store backup",
        program: "krab-store-backup",
        help: "copies the store to a file",
        flags: store::backup_flags,
        run: store::backup,
    },
    Command {
        name: "store restore",
        program: "krab-store-restore",
        help: "puts a backup in the store's place",
        flags: store::restore_flags,
        run: store::restore,
    },
    Command {
        name: "apiserver",
        program: "kube-apiserver",
        help: "the API server alone, under upstream's flags",
        flags: components::apiserver::flags,
        run: components::apiserver::run,
    },
    Command {
        name: "controller-manager",
        program: "kube-controller-manager",
        help: "the controllers alone, under upstream's flags",
        flags: components::controller_manager::flags,
        run: components::controller_manager::run,
    },
    Command {
        name: "scheduler",
        program: "kube-scheduler",
        help: "the scheduler alone, under upstream's flags",
        flags: components::scheduler::flags,
        run: components::scheduler::run,
    },
    Command {
        name: "kubelet",
        program: "kubelet",
        help: "the kubelet alone, under upstream's flags",
        flags: components::kubelet::flags,
        run: components::kubelet::run,
    },
    Command {
        name: "kube-proxy",
        program: "kube-proxy",
        help: "kube-proxy alone, under upstream's flags",
        flags: components::kube_proxy::flags,
        run: components::kube_proxy::run,
    },
];

/// Runs what `program` and `arguments` ask for.
pub(crate) fn run(program: &str, mut arguments: Vec<String>) -> ExitCode {
    let called = program.rsplit('/').next().unwrap_or_default();
    let command = COMMANDS.iter().find(|command| command.program == called).or_else(|| {
        let found = COMMANDS.iter().find(|command| command.is_meant(&arguments))?;
        let by_program = arguments.first().is_some_and(|first| first == found.program);
        arguments.drain(..if by_program { 1 } else { found.words() });
        Some(found)
    });
    let Some(command) = command else {
        return match arguments.first().map(String::as_str) {
            None | Some("help" | "--help" | "-h") => {
                println!("{}", overview());
                ExitCode::SUCCESS
            }
            Some("version" | "--version") => {
                println!("Krab v{} (Kubernetes v1.37.0)", env!("CARGO_PKG_VERSION"));
                ExitCode::SUCCESS
            }
            Some(other) => {
                eprintln!("krab: no command {other:?}\n\n{}", overview());
                ExitCode::FAILURE
            }
        };
    };
    let table = (command.flags)();
    let flags = match FlagSet::resolve(&table, arguments, |name| std::env::var(name).ok()) {
        Ok(flags) => flags,
        Err(error) => {
            eprintln!("krab {}: {error}", command.name);
            return ExitCode::FAILURE;
        }
    };
    if flags.is_set("help") {
        println!("krab {}: {}\n\n{}", command.name, command.help, component::flags::help(&table));
        return ExitCode::SUCCESS;
    }
    if flags.is_set("version") {
        println!("Kubernetes v{}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    match (command.run)(flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("krab {}: {}", command.name, one_line(&error));
            ExitCode::FAILURE
        }
    }
}

/// What failed and why, on one line. Causes whose text is part of what was said already are not said again.
fn one_line(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

fn overview() -> String {
    let mut text =
        "Kubernetes v1.37 in one binary.\n\nUsage: krab COMMAND [FLAGS]   (COMMAND --help lists its flags)\n\n"
            .to_owned();
    for command in COMMANDS {
        text.push_str(&format!("  {:18} {}\n", command.name, command.help));
    }
    text.push_str("  version            what this is");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_name_of_its_own_and_help() {
        for (at, command) in COMMANDS.iter().enumerate() {
            assert!(!COMMANDS[..at].iter().any(|other| other.name == command.name || other.program == command.program));
            let mut names: Vec<&str> = (command.flags)().iter().map(|flag| flag.name).collect();
            assert!(names.contains(&"help"), "{}", command.name);
            names.sort_unstable();
            assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{}: a flag is there twice", command.name);
        }
    }

    #[test]
    fn a_component_is_found_under_both_names() {
        let meant = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            COMMANDS.iter().find(|command| command.is_meant(&words)).map(|command| command.name)
        };
        assert_eq!(meant("store check --data-dir /d"), Some("store check"));
        assert_eq!(meant("kube-proxy --v 2"), Some("kube-proxy"));
        assert_eq!((meant("store"), meant("stores")), (None, None));
    }

    #[test]
    fn a_cause_that_was_said_already_is_not_repeated() {
        let error = anyhow::anyhow!("no space").context("cannot write a: no space").context("krab stops");
        assert_eq!(one_line(&error), "krab stops: cannot write a: no space");
    }

    #[test]
    fn the_overview_names_every_command() {
        let text = overview();
        assert!(COMMANDS.iter().all(|command| text.contains(command.name)));
    }
}
