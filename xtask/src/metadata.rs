//! What cargo says about the workspace, as far as the chores need it.
//!
//! The fields are those of `cargo metadata`, format version 1
//! (<https://doc.rust-lang.org/cargo/commands/cargo-metadata.html>).

use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;

/// The packages of the workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    pub(crate) packages: Vec<Package>,
}

/// One package.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
}

/// What a package asks for.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` for what the package is built with, otherwise `dev` or `build`.
    pub(crate) kind: Option<String>,
    #[serde(default)]
    pub(crate) features: Vec<String>,
}

impl Workspace {
    /// Asks cargo, which needs no network for this.
    pub(crate) fn read() -> Result<Workspace, String> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["metadata", "--format-version", "1", "--no-deps"])
            .output()
            .map_err(|error| format!("cannot run cargo metadata: {error}"))?;
        if !output.status.success() {
            return Err(format!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Workspace::parse(&text).map_err(|error| format!("cannot understand cargo metadata: {error}"))
    }

    /// Reads what cargo wrote.
    pub(crate) fn parse(json: &str) -> serde_json::Result<Workspace> {
        serde_json::from_str(json)
    }
}
