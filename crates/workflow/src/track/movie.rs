//! A movie: the frames of one file, of a folder, or of several files, one behind the other.
//!
//! Files of a folder follow each other in natural order, `frame_2` before `frame_10`. Headers are read once to count
//! frames; after that one file is open at a time. A file that cannot be read stands for one bad frame, so that a
//! movie of single images is not lost with one of them.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use atomlens_formats::FormatError;
use ndarray::Array2;

use crate::WorkflowError;
use crate::detect::source::{Source, is_of_a_frame};

/// A movie on disk.
#[derive(Debug)]
pub(crate) struct Movie {
    parts: Vec<Part>,
    size_px: (usize, usize),
    /// What was left out, in words.
    pub(crate) notes: Vec<String>,
    open: RefCell<Option<(usize, Source)>>,
}

/// A file with some frames of the movie.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    /// Number of its first frame in the movie.
    start: usize,
    frames: usize,
    /// Why it cannot be read.
    broken: Option<String>,
}

impl Movie {
    /// Opens what was named: files, folders, patterns such as `frame_*.tif`.
    ///
    /// # Errors
    /// If there is no frame.
    pub(crate) fn open(named: &[PathBuf]) -> Result<Movie, WorkflowError> {
        let mut notes = Vec::new();
        let mut paths = Vec::new();
        for name in named {
            let found = files_of(name)?;
            let several = found.len() > 1 || name.is_dir();
            paths.extend(found.into_iter().map(|path| (path, several)));
        }
        let mut parts: Vec<Part> = Vec::new();
        let mut first: Option<Source> = None;
        let mut failure = None;
        let mut strangers = Vec::new();
        for (path, among_others) in paths {
            let start = parts.last().map_or(0, |part| part.start + part.frames);
            match Source::open(&path) {
                Ok(source) => {
                    parts.push(Part { path, start, frames: source.frames() as usize, broken: None });
                    first.get_or_insert(source);
                }
                // Lists and logs lie beside the images of a movie.
                Err(WorkflowError::Format(FormatError::UnknownKind { .. } | FormatError::NotAnImage { .. }))
                    if among_others =>
                {
                    strangers.push(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
                }
                Err(error) if among_others => {
                    parts.push(Part { path, start, frames: 1, broken: Some(error.to_string()) });
                    failure.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        if !strangers.is_empty() {
            let some: Vec<&str> = strangers.iter().take(3).map(String::as_str).collect();
            let more = if strangers.len() > 3 { format!(" and {} more", strangers.len() - 3) } else { String::new() };
            notes.push(format!("not images, left out: {}{more}", some.join(", ")));
        }
        let Some(first) = first else {
            return Err(failure.unwrap_or_else(|| WorkflowError::Read {
                path: named.first().cloned().unwrap_or_default(),
                reason: "there is no image in it".to_owned(),
            }));
        };
        notes.extend(first.notes.iter().cloned());
        Ok(Movie { parts, size_px: first.size_px(), notes, open: RefCell::new(None) })
    }

    /// All files.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.parts.iter().filter(|part| part.broken.is_none()).map(|part| part.path.as_path())
    }

    /// The first file that can be read: what its header says holds for the movie.
    pub(crate) fn first(&self) -> Result<Source, WorkflowError> {
        let path = self.paths().next().expect("a movie has a file that can be read");
        Source::open(path)
    }

    /// Number of frames, those that cannot be read included.
    pub(crate) fn frames(&self) -> usize {
        self.parts.last().map_or(0, |part| part.start + part.frames)
    }

    /// Width and height of the frames in pixels.
    pub(crate) fn size_px(&self) -> (usize, usize) {
        self.size_px
    }

    /// Name of the file that holds a frame.
    pub(crate) fn file_of(&self, frame: usize) -> String {
        let part = &self.parts[self.part_of(frame)];
        part.path.file_name().unwrap_or(part.path.as_os_str()).to_string_lossy().into_owned()
    }

    fn part_of(&self, frame: usize) -> usize {
        self.parts.partition_point(|part| part.start <= frame) - 1
    }

    /// A frame, or why there is none; `Err` only if the whole movie cannot be read.
    ///
    /// # Errors
    /// As they come from the disk.
    pub(crate) fn frame(&self, frame: usize) -> Result<Result<Array2<f32>, String>, WorkflowError> {
        let number = self.part_of(frame);
        let part = &self.parts[number];
        if let Some(reason) = &part.broken {
            return Ok(Err(reason.clone()));
        }
        let mut open = self.open.borrow_mut();
        let source = match &mut *open {
            Some((known, source)) if *known == number => source,
            other => &mut other.insert((number, Source::open(&part.path)?)).1,
        };
        match source.frame((frame - part.start) as u64) {
            Ok((image, _)) if image.dim() == (self.size_px.1, self.size_px.0) => Ok(Ok(image)),
            Ok((image, _)) => Ok(Err(format!(
                "{} is {} x {} pixels: expected {} x {} as in the first frame",
                part.path.display(),
                image.ncols(),
                image.nrows(),
                self.size_px.0,
                self.size_px.1
            ))),
            Err(error) if is_of_a_frame(&error) => Ok(Err(error.to_string())),
            Err(error) => Err(error),
        }
    }
}

/// The files that a name stands for, in natural order.
fn files_of(name: &Path) -> Result<Vec<PathBuf>, WorkflowError> {
    let text = name.to_string_lossy();
    let mut files: Vec<PathBuf> = if name.is_dir() {
        let entries = std::fs::read_dir(name).map_err(|error| WorkflowError::read(name, &error))?;
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file() && !is_hidden(path)).collect()
    } else if !name.exists() && text.contains(['*', '?', '[']) {
        let matches = glob::glob(&text).map_err(|error| WorkflowError::Read {
            path: name.to_owned(),
            reason: format!("not a pattern of file names: {error}"),
        })?;
        matches.filter_map(Result::ok).filter(|path| path.is_file()).collect()
    } else {
        return Ok(vec![name.to_owned()]);
    };
    if files.is_empty() {
        return Err(WorkflowError::Read { path: name.to_owned(), reason: "there is no file in it".to_owned() });
    }
    alphanumeric_sort::sort_path_slice(&mut files);
    Ok(files)
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

#[cfg(test)]
mod tests {
    use atomlens_formats::write_npy;
    use ndarray::Array;

    use super::*;

    #[test]
    fn files_of_a_folder_in_natural_order_with_a_broken_one() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for number in [1, 2, 10] {
            let image = Array::from_elem((4, 6), number as f32);
            write_npy(&at(&format!("frame_{number}.npy")), image.view()).unwrap();
        }
        write_npy(&at("frame_11.npy"), Array::from_elem((2, 4, 6), 11.0_f32).view()).unwrap();
        write_npy(&at("frame_12.npy"), Array::from_elem((4, 5), 12.0_f32).view()).unwrap();
        std::fs::write(at("frame_3.npy"), b"").unwrap();
        std::fs::write(at("notes.txt"), b"by hand").unwrap();
        std::fs::write(at(".hidden"), b"x").unwrap();
        let pattern = at("frame_*.npy");
        for named in [folder.path().to_owned(), pattern] {
            let movie = Movie::open(&[named]).unwrap();
            assert_eq!((movie.frames(), movie.size_px()), (7, (6, 4)));
            let values: Vec<Option<f32>> =
                (0..7).map(|frame| movie.frame(frame).unwrap().ok().map(|image| image[[1, 1]])).collect();
            assert_eq!(values, [Some(1.0), Some(2.0), None, Some(10.0), Some(11.0), Some(11.0), None]);
            assert!(movie.frame(2).unwrap().unwrap_err().contains("frame_3"));
            assert!(movie.frame(6).unwrap().unwrap_err().contains("6 x 4"));
            assert_eq!(movie.file_of(5), "frame_11.npy");
        }
        assert!(Movie::open(&[at("nothing_*.npy")]).is_err());
        assert!(Movie::open(&[at("frame_3.npy")]).is_err());
        assert!(matches!(Movie::open(&[at("notes.txt")]), Err(WorkflowError::Format(_))));
    }
}
