//! Where a result came from: version, settings, seed, hashes of inputs.

use std::collections::BTreeMap;
use std::io::{BufReader, Read, Write};
use std::path::Path;

use atomlens_formats::whole_file::write_whole_file;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::WorkflowError;

/// How a job finds its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entered {
    /// Empty.
    New,
    /// With what the same job left.
    Begun,
}

/// What is written to `settings.json` before a job begins.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Provenance<Settings> {
    /// The program.
    pub program: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The job.
    pub job: &'static str,
    /// What it was asked to do, with every default filled in.
    pub settings: Settings,
    /// SHA-256 of every file that was read, by name without its folder, so that it does not matter from where the program ran.
    pub inputs_sha256: BTreeMap<String, String>,
}

impl<Settings: Serialize> Provenance<Settings> {
    /// Of a job with its settings.
    pub fn new(job: &'static str, settings: Settings) -> Self {
        Provenance {
            program: "atomlens",
            version: env!("CARGO_PKG_VERSION"),
            job,
            settings,
            inputs_sha256: BTreeMap::new(),
        }
    }

    /// Adds the hash of a file that is read.
    pub fn input(mut self, path: &Path) -> Result<Self, WorkflowError> {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let hash = sha256(path)?;
        let taken = |name: &str| self.inputs_sha256.get(name).is_some_and(|known| *known != hash);
        // Files of one name from several folders.
        let mut unique = name.clone();
        for number in 2.. {
            if !taken(&unique) {
                break;
            }
            unique = format!("{name} ({number})");
        }
        self.inputs_sha256.insert(unique, hash);
        Ok(self)
    }

    /// Makes the folder, or finds out whether the job may go on in it: whether it holds what the same job with the same
    /// settings and inputs began.
    ///
    /// # Errors
    /// A folder that holds something else, or that is not to be resumed.
    pub(crate) fn enter(&self, out: &Path, resume: bool) -> Result<Entered, WorkflowError> {
        if out.is_file() {
            let reason = "there is a file of this name: expected a folder".to_owned();
            return Err(WorkflowError::Write { path: out.to_owned(), reason });
        }
        let occupied = std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some());
        if !occupied {
            std::fs::create_dir_all(out).map_err(|error| WorkflowError::write(out, &error))?;
            return Ok(Entered::New);
        }
        let same = std::fs::read_to_string(out.join("settings.json")).is_ok_and(|text| {
            let before: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            // Through text, so that both have lost as much of their numbers' last digits.
            let now = serde_json::to_string(self).unwrap_or_default();
            let now: serde_json::Value = serde_json::from_str(&now).unwrap_or_default();
            // Another version may give other results.
            ["version", "job", "settings", "inputs_sha256"].iter().all(|key| before[key] == now[key])
        });
        if !same || !resume {
            let advice = if same { "pass --resume to go on with what was begun here" } else { "choose another --out" };
            return Err(WorkflowError::FolderNotEmpty { path: out.to_owned(), advice: advice.to_owned() });
        }
        remove_parts(out);
        Ok(Entered::Begun)
    }

    /// Writes it.
    pub fn write(&self, path: &Path) -> Result<(), WorkflowError> {
        write_json(path, self)
    }
}

/// Removes what a job left that was killed while it wrote; such files never had their names.
fn remove_parts(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') && name.ends_with(".part") {
            // One that stays does no harm.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Writes anything as indented JSON, whole or not at all.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), WorkflowError> {
    Ok(write_whole_file(path, |file| {
        serde_json::to_writer_pretty(&mut *file, value)?;
        file.write_all(b"\n")
    })?)
}

/// SHA-256 of a file, in hexadecimal.
fn sha256(path: &Path) -> Result<String, WorkflowError> {
    let file = std::fs::File::open(path).map_err(|error| WorkflowError::read(path, &error))?;
    let mut reader = BufReader::new(file);
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = reader.read(&mut buffer).map_err(|error| WorkflowError::read(path, &error))?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
