//! Where a result came from: version, settings, seed, hashes of inputs.

use std::collections::BTreeMap;
use std::io::{BufReader, Read, Write};
use std::path::Path;

use atomlens_formats::whole_file::write_whole_file;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::WorkflowError;

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

    /// Writes it.
    pub fn write(&self, path: &Path) -> Result<(), WorkflowError> {
        write_json(path, self)
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
