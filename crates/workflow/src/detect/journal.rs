//! What has been found so far, frame by frame, on disk: a detection that was stopped or killed goes on where it was, and
//! the tables of a long movie need no memory.
//!
//! `detection.part` has a line of JSON for every frame that was looked at; `confidence.part` has the maps one behind the
//! other, 32-bit numbers of little endian. Both are removed when the job is complete. A line or map that was cut off
//! when the program was killed is dropped with all that follows.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use atomlens_core::DetectedColumn;
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::WorkflowError;

/// A frame that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Number of the file, from 0.
    pub(crate) file: usize,
    /// Number of the frame in the file.
    pub(crate) frame: u64,
    /// Its columns, in angstrom from the centre of the frame's first pixel.
    pub(crate) columns: Vec<DetectedColumn>,
    /// How it is unlike the frames of the training.
    pub(crate) warnings: Vec<String>,
    /// Rows and columns of its map, if that is kept; [`Journal::add`] fills it in.
    pub(crate) map_cells: Option<(usize, usize)>,
}

impl Entry {
    fn map_bytes(&self) -> u64 {
        self.map_cells.map_or(0, |(rows, columns)| 4 * rows as u64 * columns as u64)
    }
}

/// The files of a folder.
#[derive(Debug)]
pub(crate) struct Journal {
    lines: PathBuf,
    maps: PathBuf,
    /// Where the line of a frame begins.
    known: BTreeMap<(usize, u64), u64>,
    /// Open from the first new frame on.
    open: Option<(File, File)>,
}

impl Journal {
    /// Reads what an earlier run left in the folder, and drops what is not whole.
    pub(crate) fn open(folder: &Path) -> Result<Journal, WorkflowError> {
        let mut journal = Journal {
            lines: folder.join("detection.part"),
            maps: folder.join("confidence.part"),
            known: BTreeMap::new(),
            open: None,
        };
        if !journal.lines.is_file() {
            return Ok(journal);
        }
        let maps_length = fs::metadata(&journal.maps).map_or(0, |data| data.len());
        let (mut line_end, mut map_end) = (0, 0);
        for item in journal.read()? {
            let Ok((start, end, entry)) = item else { break };
            if map_end + entry.map_bytes() > maps_length {
                break;
            }
            (line_end, map_end) = (end, map_end + entry.map_bytes());
            journal.known.insert((entry.file, entry.frame), start);
        }
        for (path, length) in [(&journal.lines, line_end), (&journal.maps, map_end)] {
            let file = OpenOptions::new().create(true).append(true).open(path);
            file.and_then(|file| file.set_len(length)).map_err(|error| WorkflowError::write(path, &error))?;
        }
        Ok(journal)
    }

    /// Whether nothing is known yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// What is known of a frame.
    pub(crate) fn entry(&self, file: usize, frame: u64) -> Result<Option<Entry>, WorkflowError> {
        let Some(&start) = self.known.get(&(file, frame)) else { return Ok(None) };
        let failed = |error: &std::io::Error| WorkflowError::read(&self.lines, error);
        let mut reader = File::open(&self.lines).map_err(|error| failed(&error))?;
        reader.seek(SeekFrom::Start(start)).map_err(|error| failed(&error))?;
        let mut line = String::new();
        BufReader::new(reader).read_line(&mut line).map_err(|error| failed(&error))?;
        let entry = serde_json::from_str(&line).map_err(|error| failed(&error.into()))?;
        Ok(Some(entry))
    }

    /// Adds a frame; when this returns, it survives the end of the program. Gives it back with the size of its map.
    pub(crate) fn add(&mut self, mut entry: Entry, map: Option<&Array2<f32>>) -> Result<Entry, WorkflowError> {
        entry.map_cells = map.map(Array2::dim);
        let (lines, maps) = match &mut self.open {
            Some(files) => files,
            None => {
                let opened = |path: &Path| {
                    let file = OpenOptions::new().create(true).append(true).open(path);
                    file.map_err(|error| WorkflowError::write(path, &error))
                };
                self.open.insert((opened(&self.lines)?, opened(&self.maps)?))
            }
        };
        if let Some(map) = map {
            let bytes: Vec<u8> = map.iter().flat_map(|value| value.to_le_bytes()).collect();
            maps.write_all(&bytes).map_err(|error| WorkflowError::write(&self.maps, &error))?;
        }
        let failed = |error: std::io::Error| WorkflowError::write(&self.lines, &error);
        let start = lines.seek(SeekFrom::End(0)).map_err(failed)?;
        let mut line = serde_json::to_vec(&entry).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        lines.write_all(&line).map_err(failed)?;
        self.known.insert((entry.file, entry.frame), start);
        Ok(entry)
    }

    /// All frames in the order in which they were added.
    pub(crate) fn entries(&self) -> Result<impl Iterator<Item = Result<Entry, WorkflowError>>, WorkflowError> {
        let read = if self.is_empty() { None } else { Some(self.read()?) };
        Ok(read.into_iter().flatten().map(|item| item.map(|(_, _, entry)| entry)))
    }

    /// The maps of a file's frames that have one.
    pub(crate) fn maps(&self, file: usize) -> Result<Vec<Array2<f32>>, WorkflowError> {
        let failed = |error: &std::io::Error| WorkflowError::read(&self.maps, error);
        let mut maps = Vec::new();
        let mut reader: Option<BufReader<File>> = None;
        for entry in self.entries()? {
            let entry = entry?;
            let Some(cells) = entry.map_cells else { continue };
            let reader = match &mut reader {
                Some(reader) => reader,
                None => reader.insert(BufReader::new(File::open(&self.maps).map_err(|error| failed(&error))?)),
            };
            let mut bytes = vec![0; entry.map_bytes() as usize];
            reader.read_exact(&mut bytes).map_err(|error| failed(&error))?;
            if entry.file == file {
                let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
                maps.push(Array2::from_shape_vec(cells, values).expect("as many bytes as cells need"));
            }
        }
        Ok(maps)
    }

    /// Removes the files: everything is in the results.
    pub(crate) fn remove(self) -> Result<(), WorkflowError> {
        drop(self.open);
        for path in [&self.lines, &self.maps] {
            if path.exists() {
                fs::remove_file(path).map_err(|error| WorkflowError::write(path, &error))?;
            }
        }
        Ok(())
    }

    /// Where every whole line begins and ends, and what it says; ends at the first that is not whole.
    fn read(&self) -> Result<impl Iterator<Item = Result<(u64, u64, Entry), WorkflowError>> + use<>, WorkflowError> {
        let path = self.lines.clone();
        let file = File::open(&path).map_err(|error| WorkflowError::read(&path, &error))?;
        let mut reader = BufReader::new(file);
        let mut end = 0;
        Ok(std::iter::from_fn(move || {
            let mut line = Vec::new();
            let count = match reader.read_until(b'\n', &mut line) {
                Ok(count) => count,
                Err(error) => return Some(Err(WorkflowError::read(&path, &error))),
            };
            if count == 0 {
                return None;
            }
            let start = end;
            end += count as u64;
            if line.pop() != Some(b'\n') {
                return None;
            }
            match serde_json::from_slice(&line) {
                Ok(entry) => Some(Ok((start, end, entry))),
                Err(error) => Some(Err(WorkflowError::read(&path, &error.into()))),
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(file: usize, frame: u64) -> Entry {
        let column = DetectedColumn {
            x_angstrom: 1.0 / 3.0 + frame as f64,
            y_angstrom: 7.25,
            position_sigma_angstrom: 0.04,
            probability: 0.9,
            species: 0,
            species_probability: 1.0,
            atoms: 3.0,
            atoms_sigma: 0.5,
        };
        Entry { file, frame, columns: vec![column; 2], warnings: vec!["näher\n".to_owned()], map_cells: Some((2, 3)) }
    }

    fn map(frame: u64) -> Array2<f32> {
        Array2::from_shape_fn((2, 3), |(j, i)| frame as f32 + 0.1 * (3 * j + i) as f32)
    }

    #[test]
    fn what_was_cut_off_is_dropped_and_the_rest_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path()).unwrap();
        assert!(journal.is_empty() && journal.entries().unwrap().next().is_none());
        for frame in 0..3 {
            journal.add(entry(0, frame), Some(&map(frame))).unwrap();
        }
        let whole = |journal: &Journal| journal.entries().unwrap().map(Result::unwrap).collect::<Vec<_>>();
        assert_eq!(whole(&journal), [entry(0, 0), entry(0, 1), entry(0, 2)]);
        drop(journal);

        // Killed in the middle of a line, of a map, and between the two.
        let (lines, maps) = (folder.path().join("detection.part"), folder.path().join("confidence.part"));
        let length = fs::metadata(&lines).unwrap().len();
        OpenOptions::new().append(true).open(&lines).unwrap().set_len(length - 7).unwrap();
        let mut journal = Journal::open(folder.path()).unwrap();
        assert_eq!(whole(&journal), [entry(0, 0), entry(0, 1)]);
        assert_eq!(fs::metadata(&maps).unwrap().len(), 2 * 24);
        OpenOptions::new().append(true).open(&maps).unwrap().set_len(30).unwrap();
        drop(journal);
        journal = Journal::open(folder.path()).unwrap();
        assert_eq!(whole(&journal), [entry(0, 0)]);
        assert_eq!(journal.entry(0, 0).unwrap(), Some(entry(0, 0)));
        assert_eq!(journal.entry(0, 1).unwrap(), None);

        journal.add(entry(0, 1), None).unwrap();
        journal.add(entry(1, 0), Some(&map(9))).unwrap();
        assert_eq!(journal.entry(1, 0).unwrap(), Some(entry(1, 0)));
        journal.remove().unwrap();
        assert!(!lines.exists() && !maps.exists());
    }

    #[test]
    fn maps_come_back_by_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path()).unwrap();
        journal.add(entry(0, 0), Some(&map(0))).unwrap();
        journal.add(entry(0, 1), None).unwrap();
        journal.add(entry(1, 0), Some(&map(5))).unwrap();
        assert_eq!(journal.maps(0).unwrap(), [map(0)]);
        assert_eq!(journal.maps(1).unwrap(), [map(5)]);
        assert!(journal.maps(2).unwrap().is_empty());
    }
}
