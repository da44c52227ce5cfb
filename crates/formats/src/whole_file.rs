//! Files that are complete or not there.
//!
//! A writer that is interrupted must not leave half a file under the name that was asked for. The
//! content goes to a temporary file in the same folder (a rename between file systems would copy),
//! which takes the final name in one step, replacing what was there.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::FormatError;

/// Writes a file through `fill`; it appears under `path` only if `fill` and the disk succeed.
///
/// # Errors
/// [`FormatError::Write`] if the folder does not exist or cannot be written, or the disk is full.
pub fn write_whole_file(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), FormatError> {
    let failed = |error| FormatError::Write { path: path.to_owned(), error };
    let Some(name) = path.file_name() else {
        return Err(failed(io::Error::other("the path does not end in a file name")));
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    if !folder.is_dir() {
        return Err(failed(io::Error::other(format!("there is no folder {}", folder.display()))));
    }
    if path.is_dir() {
        return Err(failed(io::Error::other("there is a folder of this name")));
    }
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(name);
    prefix.push(".");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".part");
    #[cfg(unix)]
    {
        // As any other new file, subject to the umask; temporary files are private unless told so.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let temporary = builder.tempfile_in(&folder).map_err(failed)?;
    // `temporary` is removed when it is dropped before it has its final name.
    let (file, temporary_path) = temporary.into_parts();
    let mut writer = BufWriter::with_capacity(1 << 18, file);
    fill(&mut writer).map_err(failed)?;
    writer.flush().map_err(failed)?;
    drop(writer);
    temporary_path.persist(path).map_err(|error| failed(error.error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image.txt");
        write_whole_file(&path, |file| file.write_all(b"first")).unwrap();
        let error = write_whole_file(&path, |file| {
            file.write_all(b"half of the sec")?;
            Err(io::Error::other("stopped"))
        })
        .unwrap_err();
        assert!(error.to_string().contains("image.txt") && error.to_string().contains("stopped"));
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
        write_whole_file(&path, |file| file.write_all(b"second")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
    }

    #[test]
    fn a_missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_whole_file(&folder.path().join("none/a.txt"), |_| Ok(())).unwrap_err();
        assert!(error.to_string().contains("there is no folder"), "{error}");
        assert!(write_whole_file(folder.path(), |_| Ok(())).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_what_they_could_read_of_any_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("plain"), "").unwrap();
        write_whole_file(&folder.path().join("whole"), |_| Ok(())).unwrap();
        let mode = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode("whole"), mode("plain"));
    }
}
