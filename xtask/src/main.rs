//! Chores of the repository: `cargo run --release -p xtask -- COMMAND`.
//!
//! - `layering` checks which crate depends on what, that libraries neither print, nor read environment variables, nor use
//!   global randomness, and that no crate asks for a dependency that it does not use. Exit code 0: all is well; 1: at
//!   least one violation, each named in a line; 2: the command could not be run.
//! - `layering --table` prints the rules as ARCHITECTURE.md has them.
//! - `gallery` makes the pictures of docs/gallery.md anew, in about a minute.

// A chore talks to whoever runs it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod gallery;
mod layering;
mod metadata;
mod palette;
#[cfg(test)]
mod readme_example;
#[cfg(test)]
mod recipe_pages;
mod source_scan;

use std::path::Path;
use std::process::ExitCode;

use metadata::Workspace;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["layering"] => check_layering(),
        ["layering", "--table"] => {
            print!("{}", layering::table());
            ExitCode::SUCCESS
        }
        ["gallery"] => make_gallery(),
        _ => {
            eprintln!("usage: cargo run --release -p xtask -- layering [--table] | gallery");
            ExitCode::from(2)
        }
    }
}

fn make_gallery() -> ExitCode {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    match gallery::make(here.parent().unwrap_or(here)) {
        Ok(made) => {
            for (path, size) in made {
                println!("gallery: {} ({} kB)", path.display(), size / 1000);
            }
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("gallery: {problem}");
            ExitCode::from(1)
        }
    }
}

fn check_layering() -> ExitCode {
    let checked = Workspace::read().and_then(|workspace| {
        let mut violations = layering::check(&workspace);
        violations.extend(source_scan::check(&workspace)?);
        violations.extend(source_scan::unused_dependencies(&workspace)?);
        Ok((workspace.packages.len(), violations))
    });
    match checked {
        Ok((crates, violations)) if violations.is_empty() => {
            println!("layering: {crates} crates depend on each other as ARCHITECTURE.md says");
            ExitCode::SUCCESS
        }
        Ok((_, violations)) => {
            for violation in &violations {
                eprintln!("layering: {violation}");
            }
            eprintln!(
                "layering: {} violation(s); the rules and their reasons are in ARCHITECTURE.md",
                violations.len()
            );
            ExitCode::from(1)
        }
        Err(problem) => {
            eprintln!("layering: {problem}");
            ExitCode::from(2)
        }
    }
}

/// A recipe for tests, small enough to be simulated in them.
#[cfg(test)]
const SMALL_RECIPE: &str = r#"
name = "small"
[image]
pixels = 96
pixel_size_angstrom = 0.2
[wave]
energy_kev = 300
[specimen.body]
kind = "nanoparticle"
element = "Au"
radius_angstrom = 5
[optics]
defocus_angstrom = 60
[camera]
dose_e_per_a2 = 1000
"#;
