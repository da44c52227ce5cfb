//! `atomlens recipe` and `atomlens completions`.

mod common;

use std::process::{Command, Stdio};

use common::Place;

const NAMES: [&str; 5] = ["gold", "platinum-on-ceria", "mos2-focal-series", "graphene", "gold-movie"];

#[test]
fn recipes_are_listed_shown_and_checked() {
    let place = Place::new();
    let list = place.run("recipe list").good().out;
    let json = place.run("recipe list --json").good().json();
    assert_eq!(json.as_array().unwrap().len(), NAMES.len());
    for name in NAMES {
        assert!(list.lines().any(|line| line.starts_with(name)), "{name}");
        let shown = place.run(&format!("recipe show {name}")).good().out;
        assert!(shown.contains("# "), "{name} has comments");
        // What is shown, or resolved, is the start of one's own.
        let resolved = place.run(&format!("recipe show {name} --resolved")).good().out;
        for (file, text) in [("own.toml", shown), ("resolved.toml", resolved)] {
            place.write(file, text);
            let parsed = place.run(&format!("recipe show {file} --json")).good().json();
            assert_eq!(parsed, place.run(&format!("recipe show {name} --json")).good().json(), "{name}");
        }
        let check = place.run(&format!("recipe check {name} --json")).good().json();
        assert_eq!((check["good"].as_bool(), check["name"].as_str()), (Some(true), Some(name)));
        assert!(check["columns"].as_u64().unwrap() > 50, "{check}");
    }
    assert!(place.run("recipe check small.toml").good().out.contains("good"));
    place.run("recipe show golf").fails("golf", 3, &["golf", "gold"]);
}

#[test]
fn completions_of_every_shell() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = place.run(&format!("completions {shell}")).good().out;
        assert!(
            script.contains("atomlens") && script.contains("exit-wave") && script.contains("defocus-angstrom"),
            "{shell}"
        );
    }
    place.run("completions tcsh").fails("tcsh", 2, &["tcsh"]);
}

#[cfg(unix)]
#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let place = Place::new();
    for arguments in ["completions zsh", "recipe show gold", "recipe list"] {
        let mut child = place.command(arguments).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && message.is_empty(), "{arguments}: {message}");
    }
}

#[cfg(unix)]
#[test]
fn bash_can_read_its_completions() {
    let place = Place::new();
    place.write("atomlens.bash", place.run("completions bash").good().out);
    // Where there is no bash there is nothing to check.
    let Ok(status) = Command::new("bash").arg("-n").arg(place.path("atomlens.bash")).stderr(Stdio::null()).status()
    else {
        return;
    };
    assert!(status.success());
}

#[test]
fn help_and_version() {
    let place = Place::new();
    assert!(place.run("--version").good().out.starts_with("atomlens 0."));
    for command in ["", "simulate", "exit-wave", "image", "recipe", "completions"] {
        assert!(place.run(&format!("{command} --help")).good().out.contains("Usage: atomlens"), "{command}");
    }
    assert!(place.run("--help").good().out.contains("130 stopped by Ctrl-C"));
    let none = place.run("");
    assert_eq!(none.code, 2);
    place.run("simulat small.toml").fails("simulat", 2, &["simulat"]);
}
