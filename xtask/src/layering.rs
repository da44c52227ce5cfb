//! Which crate may depend on what.
//!
//! The rules are the two tables below; ARCHITECTURE.md shows them (a test keeps both in step) and gives the reasons.
//! Dependencies of tests are free: they are not shipped.

use std::fmt;

use crate::metadata::{Dependency, Package, Workspace};

/// What the crates of the workspace are called in the rules, in front of `-NAME`. The program is called `cli` there,
/// after its folder.
const PREFIX: &str = "atomlens-";
const PROGRAM: &str = "atomlens";

/// A crate of the workspace and those that it may use.
struct Layer {
    name: &'static str,
    may_use: &'static [&'static str],
}

const fn layer(name: &'static str, may_use: &'static [&'static str]) -> Layer {
    Layer { name, may_use }
}

/// Every crate, from the bottom up.
const LAYERS: &[Layer] = &[
    layer("core", &[]),
    layer("simulate", &["core"]),
    layer("specimen", &["core"]),
    layer("formats", &["core"]),
    layer("report", &["core"]),
    layer("analysis", &["core"]),
    layer("network", &["core"]),
    layer("dataset", &["core", "simulate", "specimen", "analysis"]),
    layer("reconstruct", &["core", "simulate"]),
    layer(
        "workflow",
        &["core", "simulate", "specimen", "formats", "report", "analysis", "network", "dataset", "reconstruct"],
    ),
    layer("cli", &["core", "simulate", "specimen", "formats", "report", "analysis", "dataset", "workflow"]),
    layer("xtask", &["core", "dataset", "report", "workflow"]),
];

/// Whom a prohibition binds.
#[derive(Debug, Clone, Copy)]
enum Who {
    Only(&'static str),
    AllBut(&'static [&'static str]),
}

/// What a crate must never depend on.
struct Never {
    who: Who,
    /// Crates, with all whose name goes on after a hyphen or underscore: `crossbeam` stands for `crossbeam-channel`.
    what: &'static [&'static str],
    /// Features that would bring the same in through another crate.
    features: &'static [&'static str],
    summary: &'static str,
    reason: &'static str,
}

/// What must never be, whatever the table of layers comes to allow. Some of the crates are yet to come.
const NEVER: &[Never] = &[
    Never {
        who: Who::Only("core"),
        what: &["async-std", "crossbeam", "futures", "parking_lot", "rayon", "smol", "threadpool", "tokio"],
        features: &["async", "rayon", "tokio"],
        summary: "threads, async",
        reason: "types are shared by all; how work is spread is for those who do it",
    },
    Never {
        who: Who::AllBut(&["python"]),
        what: &["cpython", "numpy", "pyo3"],
        features: &["numpy", "pyo3"],
        summary: "Python",
        reason: "everything builds and runs without Python",
    },
    Never {
        who: Who::AllBut(&["network"]),
        what: &["burn", "candle", "cubecl", "dfdx", "ort", "tch", "tract"],
        features: &[],
        summary: "a learning framework",
        reason: "one crate knows the framework, so that it can be exchanged",
    },
    Never {
        who: Who::AllBut(&["cli", "xtask"]),
        what: &["clap", "console", "ctrlc", "dialoguer", "env_logger", "indicatif"],
        features: &[],
        summary: "command line, terminal, signals",
        reason: "a library answers with a value or an error; the program talks to people",
    },
    Never {
        who: Who::AllBut(&["cli"]),
        what: &["atomlens-server"],
        features: &[],
        summary: "server",
        reason: "the server is an end, not a part",
    },
    Never {
        who: Who::Only("simulate"),
        what: &["atomlens-formats", "atomlens-network"],
        features: &[],
        summary: "formats, network",
        reason: "physics takes and gives arrays; where they come from is not its concern",
    },
    Never {
        who: Who::Only("specimen"),
        what: &["atomlens-simulate", "atomlens-formats"],
        features: &[],
        summary: "simulate, formats",
        reason: "a specimen is atoms and their truth, whichever way they are imaged",
    },
    Never {
        who: Who::Only("dataset"),
        what: &["atomlens-formats"],
        features: &[],
        summary: "formats",
        reason: "a trainer takes samples from memory; files are for the workflow",
    },
    Never {
        who: Who::Only("analysis"),
        what: &["atomlens-network"],
        features: &[],
        summary: "network",
        reason: "a classical detector must fit in its place",
    },
    Never {
        who: Who::Only("network"),
        what: &["atomlens-simulate"],
        features: &[],
        summary: "simulate",
        reason: "training data come as samples, simulated or not",
    },
];

/// A dependency that must not be.
#[derive(Debug, PartialEq)]
pub(crate) enum Violation {
    /// The crate is in no table.
    Unknown { package: String },
    /// The direction is wrong.
    Direction { package: String, used: String, allowed: Vec<&'static str> },
    /// A rule forbids it.
    Forbidden { package: String, used: String, feature: Option<String>, reason: &'static str },
    /// The crate asks for what it does not use.
    Unused { package: String, used: String },
    /// A library does what only the program may.
    Source { place: String, found: &'static str, reason: &'static str },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::Unknown { package } => {
                write!(f, "crate {package} has no place yet: add it to LAYERS in xtask/src/layering.rs")
            }
            Violation::Direction { package, used, allowed } => {
                let allowed =
                    if allowed.is_empty() { "no crate of the workspace".to_owned() } else { allowed.join(", ") };
                write!(f, "{package} depends on {used}, but may use only {allowed}")
            }
            Violation::Forbidden { package, used, feature: None, reason } => {
                write!(f, "{package} must never depend on {used}: {reason}")
            }
            Violation::Forbidden { package, used, feature: Some(feature), reason } => {
                write!(f, "{package} must never ask for the feature {feature} of {used}: {reason}")
            }
            Violation::Unused { package, used } => {
                write!(f, "{package} asks for {used} and never uses it: take it out of its Cargo.toml")
            }
            Violation::Source { place, found, reason } => write!(f, "{place}: {found} in a library: {reason}"),
        }
    }
}

/// The name that the rules use for a package of the workspace: `core` for `atomlens-core`, `cli` for `atomlens`.
pub(crate) fn short_name(package: &str) -> &str {
    if package == PROGRAM { "cli" } else { package.strip_prefix(PREFIX).unwrap_or(package) }
}

/// Every violation, in the order of packages.
pub(crate) fn check(workspace: &Workspace) -> Vec<Violation> {
    let inside = |name: &str| workspace.packages.iter().any(|package| package.name == name);
    let mut violations = Vec::new();
    for package in &workspace.packages {
        let name = short_name(&package.name);
        let Some(layer) = LAYERS.iter().find(|layer| layer.name == name) else {
            violations.push(Violation::Unknown { package: package.name.clone() });
            // What must never be holds all the same.
            violations.extend(shipped(package).flat_map(|dependency| forbidden(name, dependency)));
            continue;
        };
        for dependency in shipped(package) {
            let used = short_name(&dependency.name);
            let never = forbidden(name, dependency);
            if never.is_empty() && inside(&dependency.name) && !layer.may_use.contains(&used) {
                let (package, used) = (name.to_owned(), used.to_owned());
                violations.push(Violation::Direction { package, used, allowed: layer.may_use.to_vec() });
            }
            violations.extend(never);
        }
    }
    violations
}

/// The dependencies that end up in the program.
fn shipped(package: &Package) -> impl Iterator<Item = &Dependency> {
    package.dependencies.iter().filter(|dependency| dependency.kind.as_deref() != Some("dev"))
}

/// What the rules of [`NEVER`] have against a dependency.
fn forbidden(name: &str, dependency: &Dependency) -> Vec<Violation> {
    let binds = |who: Who| match who {
        Who::Only(one) => one == name,
        Who::AllBut(exempt) => !exempt.contains(&name),
    };
    let mut violations = Vec::new();
    for rule in NEVER.iter().filter(|rule| binds(rule.who)) {
        let violation = |feature| Violation::Forbidden {
            package: name.to_owned(),
            used: dependency.name.clone(),
            feature,
            reason: rule.reason,
        };
        if rule.what.iter().any(|what| is_or_belongs_to(&dependency.name, what)) {
            violations.push(violation(None));
        }
        let features = dependency.features.iter().filter(|feature| rule.features.contains(&feature.as_str()));
        violations.extend(features.map(|feature| violation(Some(feature.clone()))));
    }
    violations
}

fn is_or_belongs_to(name: &str, family: &str) -> bool {
    name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

/// The rules as ARCHITECTURE.md has them.
pub(crate) fn table() -> String {
    let mut text = "| crate | may use |\n|---|---|\n".to_owned();
    for layer in LAYERS {
        let may_use =
            if layer.may_use.is_empty() { "nothing of the workspace".to_owned() } else { layer.may_use.join(", ") };
        text += &format!("| {} | {may_use} |\n", layer.name);
    }
    text += "\n| who | must never depend on | because |\n|---|---|---|\n";
    for rule in NEVER {
        let who = match rule.who {
            Who::Only(one) => one.to_owned(),
            Who::AllBut(exempt) => format!("any but {}", exempt.join(", ")),
        };
        let names: Vec<String> = rule.what.iter().map(|what| format!("`{what}`")).collect();
        text += &format!("| {who} | {} ({}) | {} |\n", rule.summary, names.join(" "), rule.reason);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};
    use std::path::PathBuf;

    use super::*;

    /// A workspace of packages with what they use, `name` or `name+feature`.
    fn workspace(packages: &[(&str, &[&str])]) -> Workspace {
        let dependency = |text: &&str| {
            let (name, feature) = text.split_once('+').unwrap_or((text, ""));
            let features: Vec<&str> = if feature.is_empty() { Vec::new() } else { vec![feature] };
            serde_json::json!({ "name": name, "kind": null, "features": features })
        };
        let packages: Vec<serde_json::Value> = packages
            .iter()
            .map(|(name, uses)| {
                let dependencies: Vec<_> = uses.iter().map(dependency).collect();
                serde_json::json!({ "name": name, "manifest_path": "Cargo.toml", "dependencies": dependencies })
            })
            .collect();
        Workspace::parse(&serde_json::json!({ "packages": packages }).to_string()).unwrap()
    }

    fn messages(packages: &[(&str, &[&str])]) -> Vec<String> {
        check(&workspace(packages)).iter().map(Violation::to_string).collect()
    }

    #[test]
    fn what_is_allowed_passes() {
        let found = messages(&[
            ("atomlens-core", &["serde", "ndarray"]),
            ("atomlens-simulate", &["atomlens-core", "rayon", "ndarray+rayon"]),
            ("atomlens-dataset", &["atomlens-core", "atomlens-simulate", "crossbeam-channel"]),
            ("atomlens", &["atomlens-dataset", "clap", "indicatif", "ctrlc"]),
            ("xtask", &["serde_json"]),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn every_direction_that_is_not_allowed_is_a_violation() {
        let package = |name: &str| if name == "cli" { PROGRAM.to_owned() } else { format!("{PREFIX}{name}") };
        let names: Vec<&str> = LAYERS.iter().map(|layer| layer.name).filter(|name| *name != "xtask").collect();
        let mut refused = 0;
        for layer in LAYERS.iter().filter(|layer| layer.name != "xtask") {
            for used in names.iter().filter(|used| **used != layer.name) {
                let (user, used_package) = (package(layer.name), package(used));
                let found = messages(&[(&user, &[&used_package]), (&used_package, &[])]);
                assert_eq!(found.is_empty(), layer.may_use.contains(used), "{user} -> {used_package}: {found:?}");
                refused += usize::from(!found.is_empty());
            }
        }
        // 11 crates have 110 directed pairs, of which the table allows 0 + 6 x 1 + 4 + 2 + 9 + 8.
        assert_eq!(refused, 110 - 29);
    }

    #[test]
    fn every_prohibition_is_enforced() {
        for rule in NEVER {
            let user = match rule.who {
                Who::Only("cli") => PROGRAM.to_owned(),
                Who::Only(one) => format!("{PREFIX}{one}"),
                Who::AllBut(_) => "atomlens-report".to_owned(),
            };
            for what in rule.what {
                for used in [what.to_string(), format!("{what}-more")] {
                    let found = messages(&[(&user, &[&used])]);
                    assert!(found.iter().any(|message| message.contains(rule.reason)), "{user} -> {used}: {found:?}");
                }
                let other = format!("{what}er");
                let found = messages(&[(&user, &[&other])]);
                assert!(
                    !found.iter().any(|message| message.contains(rule.reason)),
                    "{other} is another crate: {found:?}"
                );
            }
            for feature in rule.features {
                let found = messages(&[(&user, &[&format!("ndarray+{feature}")])]);
                assert!(found.iter().any(|message| message.contains(feature)), "{user}: {found:?}");
            }
        }
    }

    #[test]
    fn the_exempt_may() {
        assert!(messages(&[("atomlens", &["clap", "atomlens-server"])]).is_empty());
        assert!(messages(&[("atomlens-report", &["atomlens-server"])])[0].contains("report must never"));
        // Unknown crates are named, and bound by the prohibitions.
        let found = messages(&[("atomlens-network", &["burn", "atomlens-simulate"]), ("atomlens-extra", &["clap"])]);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].contains("network must never depend on atomlens-simulate"), "{found:?}");
        assert!(found[1].contains("atomlens-extra has no place yet"), "{found:?}");
    }

    #[test]
    fn tests_may_use_what_they_like() {
        let json = r#"{ "packages": [
            { "name": "atomlens-core", "manifest_path": "Cargo.toml",
              "dependencies": [{ "name": "rayon", "kind": "dev" }, { "name": "tokio", "kind": "build" }] }
        ] }"#;
        let found = check(&Workspace::parse(json).unwrap());
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().contains("core must never depend on tokio"));
    }

    fn read(path: &str) -> String {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    #[test]
    fn the_architecture_shows_these_rules() {
        assert!(
            read("ARCHITECTURE.md").contains(&table()),
            "ARCHITECTURE.md must contain what `cargo run --release -p xtask -- layering --table` prints"
        );
    }

    #[test]
    fn every_dependency_is_accounted_for() {
        let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
        let used: BTreeSet<String> = manifest["workspace"]["dependencies"]
            .as_table()
            .unwrap()
            .keys()
            .filter(|name| !name.starts_with(PREFIX))
            .cloned()
            .collect();
        let page = read("docs/dependencies.md");
        let described: BTreeSet<String> = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name.to_owned()))
            .collect();
        assert!(used.len() > 10);
        assert_eq!(
            used.symmetric_difference(&described).collect::<Vec<_>>(),
            Vec::<&String>::new(),
            "docs/dependencies.md and [workspace.dependencies] of Cargo.toml must list the same crates"
        );
    }

    #[test]
    fn names_are_unique() {
        let names: HashSet<&str> = LAYERS.iter().map(|layer| layer.name).collect();
        assert_eq!(names.len(), LAYERS.len());
    }
}
