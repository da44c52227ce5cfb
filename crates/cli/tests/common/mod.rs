//! The program, run as a user runs it.
#![allow(dead_code, reason = "every test file uses a part of it")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Two gold atoms in a box of 12 x 10 x 4 angstrom.
pub(crate) const BOX: &str = "2\nLattice=\"12 0 0 0 10 0 0 0 4\" Properties=species:S:1:pos:R:3 pbc=\"T T F\"\n\
Au 3 4 2\nAu 7.3 4 2\n";

/// A recipe of a tenth of a second.
pub(crate) const RECIPE: &str = r#"
name = "small"
description = "a test"
[image]
pixels = [72, 60]
pixel_size_angstrom = 0.25
margin_angstrom = 2
[wave]
energy_kev = 300
sampling_angstrom = 0.2
slice_thickness_angstrom = 2
[specimen.body]
kind = "nanoparticle"
element = "Au"
radius_angstrom = 5
[specimen.stage]
margin_angstrom = 1
placement = "centre"
[optics]
defocus_angstrom = { uniform = [0, 100] }
cs_angstrom = -1e5
focal_spread = { one_over_e_angstrom = 30 }
[camera]
dose_e_per_a2 = 1000
"#;

pub(crate) const MOVIE: &str = "[dynamics]\nframes = 3\n[optics]";
pub(crate) const SERIES: &str = "[optics.focal_series]\nimages = 4\nstep_angstrom = 20\n[camera]";

/// What a run of the program said.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    #[track_caller]
    pub(crate) fn good(self) -> Run {
        assert_eq!(self.code, 0, "{}", self.err);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.out.trim().lines().count(), 1, "one line of JSON: {}", self.out);
        serde_json::from_str(&self.out).unwrap()
    }

    /// The run failed as documented: with this exit code and one line that contains all these words.
    #[track_caller]
    pub(crate) fn fails(&self, what: &str, code: i32, words: &[&str]) {
        assert!(!self.err.contains("panicked"), "{what}: {}", self.err);
        assert_eq!(self.code, code, "{what}: {}", self.err);
        let errors: Vec<&str> = self.err.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "{what}: {}", self.err);
        // Wrong command lines are answered by the parser, with its advice below the line.
        assert!(code == 2 || self.err.trim_end().lines().count() == 1, "{what}: {}", self.err);
        for word in words {
            assert!(errors[0].contains(word), "{what}: no {word:?} in {}", self.err);
        }
        assert!(self.out.is_empty(), "{what}: {}", self.out);
    }
}

/// A folder that is removed afterwards, and the program in it.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        place.write("small.toml", RECIPE);
        place.write("box.xyz", BOX);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    /// The small recipe with changes, as `name`.
    pub(crate) fn recipe(&self, name: &str, changes: &[(&str, &str)]) {
        let mut text = RECIPE.to_owned();
        for (from, to) in changes {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
        self.write(name, text);
    }

    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atomlens"));
        command.args(arguments.split_whitespace()).current_dir(self.0.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the program with arguments that are divided by spaces.
    pub(crate) fn run(&self, arguments: &str) -> Run {
        let output = self.command(arguments).output().unwrap();
        Run {
            code: output.status.code().expect("the program ends by itself"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts the program, which writes into the folder `out`, stops it with Ctrl-C when two of its `frames` frames are on disk, and
    /// checks that it ends as documented with some of them done.
    #[cfg(unix)]
    #[track_caller]
    pub(crate) fn stop(&self, arguments: &str, frames: usize) {
        use std::time::{Duration, Instant};
        let child = self.command(arguments).spawn().unwrap();
        let began = Instant::now();
        let lines = || fs::read_to_string(self.path("out/detection.part")).map_or(0, |text| text.lines().count());
        while lines() < 2 {
            assert!(began.elapsed() < Duration::from_secs(60), "no frame in a minute");
            std::thread::sleep(Duration::from_millis(2));
        }
        let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let output = child.wait_with_output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(130), "{message}");
        assert!((2..frames).contains(&lines()), "{} frames", lines());
    }

    /// Two folders hold the same files with the same bytes, but for those that name the folder.
    #[track_caller]
    pub(crate) fn same_results(&self, one: &str, other: &str) {
        let (one, other) = (self.files(one), self.files(other));
        assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
        for name in one.keys().filter(|name| !["settings.json", "report.html"].contains(&name.as_str())) {
            assert!(one[name] == other[name], "{name}");
        }
    }

    /// Every file of a folder, by name.
    pub(crate) fn files(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        files(&self.path(folder))
    }
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let name = |entry: &fs::DirEntry| entry.file_name().into_string().unwrap();
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (name(&entry), fs::read(entry.path()).unwrap())).collect()
}
