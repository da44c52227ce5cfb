//! What a library must not do, and dependencies that nothing uses, looked for in the sources.
//!
//! The scan knows no Rust: it takes code line by line, leaves out comments and whole items under `#[cfg(test)]`
//! (which rustfmt ends with a brace in the first column), and looks for names.

use std::path::{Path, PathBuf};

use crate::layering::{Violation, short_name};
use crate::metadata::Workspace;

/// The crates that talk to people, and so may do all of it.
const EXEMPT: &[&str] = &["cli", "xtask"];

/// What is looked for, and why it is not for libraries.
const FORBIDDEN: &[(&str, &str)] = &[
    ("println!", PRINTING),
    ("print!", PRINTING),
    ("eprintln!", PRINTING),
    ("eprint!", PRINTING),
    ("dbg!", PRINTING),
    ("env::var", ENVIRONMENT),
    ("env::var_os", ENVIRONMENT),
    ("env::vars", ENVIRONMENT),
    ("env::vars_os", ENVIRONMENT),
    ("rand::rng", RANDOMNESS),
    ("rand::random", RANDOMNESS),
    ("thread_rng", RANDOMNESS),
    ("ThreadRng", RANDOMNESS),
    ("OsRng", RANDOMNESS),
    ("SysRng", RANDOMNESS),
    ("from_os_rng", RANDOMNESS),
    ("from_entropy", RANDOMNESS),
];
const PRINTING: &str = "a library answers with a value or an error, and the program prints";
const ENVIRONMENT: &str =
    "what a library does is in its arguments, so that the settings written beside a result are all of them";
const RANDOMNESS: &str = "randomness comes in as a seed, so that the same seed gives the same bytes";

/// Every violation in the sources of the workspace's libraries.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<Violation>, String> {
    let mut violations = Vec::new();
    for package in workspace.packages.iter().filter(|package| !EXEMPT.contains(&short_name(&package.name))) {
        let folder = package.manifest_path.parent().unwrap_or(Path::new(".")).join("src");
        let mut files = Vec::new();
        sources(&folder, &mut files).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
        for file in files {
            let text =
                std::fs::read_to_string(&file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
            violations.extend(scan(&file.display().to_string(), &text));
        }
    }
    Ok(violations)
}

/// Dependencies whose names occur nowhere in the crate that asks for them.
pub(crate) fn unused_dependencies(workspace: &Workspace) -> Result<Vec<Violation>, String> {
    let mut violations = Vec::new();
    for package in &workspace.packages {
        let folder = package.manifest_path.parent().unwrap_or(Path::new("."));
        let mut files = Vec::new();
        for part in ["src", "tests", "examples", "benches"].map(|part| folder.join(part)).iter().filter(|p| p.is_dir())
        {
            sources(part, &mut files).map_err(|error| format!("cannot read {}: {error}", part.display()))?;
        }
        let texts: Vec<String> = files.iter().filter_map(|file| std::fs::read_to_string(file).ok()).collect();
        for dependency in &package.dependencies {
            let name = dependency.name.replace('-', "_");
            if !texts.iter().any(|text| has_name(text, &name)) {
                let (package, used) = (package.name.clone(), dependency.name.clone());
                violations.push(Violation::Unused { package, used });
            }
        }
    }
    Ok(violations)
}

/// The Rust sources under a folder, in the order of their names.
fn sources(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            sources(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// The violations in one file.
fn scan(name: &str, text: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut in_tests = false;
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("#[cfg(test)]") {
            in_tests = true;
        }
        if in_tests {
            // The end of a block, or of an item without one.
            in_tests = !(line == "}" || (line.ends_with(';') && !line.starts_with([' ', '#'])));
            continue;
        }
        let code = line.split_once("//").map_or(line, |(code, _)| code);
        for (found, reason) in FORBIDDEN.iter().filter(|(found, _)| has_name(code, found)) {
            violations.push(Violation::Source { place: format!("{name}:{}", index + 1), found, reason });
        }
    }
    violations
}

/// Whether a name stands in the code by itself and not as a part of a longer one.
fn has_name(code: &str, name: &str) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + name.len()..]);
        !before.ends_with(in_name) && !after.starts_with(in_name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_once_in_its_line() {
        for (name, _) in FORBIDDEN {
            let text = format!("fn f() {{\n    {name}(\"x\");\n}}\n");
            let found = scan("lib.rs", &text);
            assert_eq!(found.len(), 1, "{name}: {found:?}");
            assert!(found[0].to_string().starts_with(&format!("lib.rs:2: {name} in a library: ")), "{}", found[0]);
        }
    }

    #[test]
    fn comments_tests_and_longer_names_are_left_alone() {
        let text = "\
//! println!(\"in a doc comment\");
fn f() {
    let x = my_thread_rng; // eprintln!(\"in a comment\")
    pretty_println!(\"another macro\");
}

#[cfg(test)]
use std::env::var;

#[cfg(test)]
mod tests {
    #[test]
    fn t() {
        println!(\"in a test\");
    }
}

fn g() {
    std::env::var(\"HOME\");
}
";
        let found = scan("lib.rs", text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].to_string().starts_with("lib.rs:19: env::var in a library"), "{}", found[0]);
    }

    #[test]
    fn libraries_are_scanned_and_the_program_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let package = |name: &str, directory: &str| {
            let nested = folder.path().join(directory).join("src").join("nested");
            std::fs::create_dir_all(&nested).unwrap();
            std::fs::write(nested.join("speech.rs"), "fn f() { println!(\"!\") }\n").unwrap();
            let manifest = folder.path().join(directory).join("Cargo.toml");
            serde_json::json!({ "name": name, "manifest_path": manifest, "dependencies": [] })
        };
        let packages = [package("atomlens", "cli"), package("atomlens-report", "report"), package("xtask", "xtask")];
        let workspace = Workspace::parse(&serde_json::json!({ "packages": packages }).to_string()).unwrap();
        let found = check(&workspace).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].to_string().contains("report"), "{}", found[0]);
    }

    #[test]
    fn dependencies_that_nothing_uses_are_named() {
        let folder = tempfile::tempdir().unwrap();
        for (part, text) in [("src", "use used_crate::Thing;\n"), ("tests", "use for_tests::Thing;\n")] {
            std::fs::create_dir(folder.path().join(part)).unwrap();
            std::fs::write(folder.path().join(part).join("file.rs"), text).unwrap();
        }
        let dependency = |name: &str| serde_json::json!({ "name": name, "kind": null });
        let dependencies = ["used-crate", "for-tests", "used"].map(dependency);
        let manifest = folder.path().join("Cargo.toml");
        let package = serde_json::json!({ "name": "x", "manifest_path": manifest, "dependencies": dependencies });
        let workspace = Workspace::parse(&serde_json::json!({ "packages": [package] }).to_string()).unwrap();
        let found = unused_dependencies(&workspace).unwrap();
        assert_eq!(found, [Violation::Unused { package: "x".to_owned(), used: "used".to_owned() }]);
    }
}
