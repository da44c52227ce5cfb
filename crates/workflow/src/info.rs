//! What a file of a microscope holds, and whether columns can be found in it.
//!
//! Only headers are read. Signals are counted from 1, as they are shown and as `--signal` takes them.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use atomlens_formats::signal::{Acquisition, Axis, PixelType, RawDescription, Signal, SignalFile, open, open_raw};
use serde::Serialize;
use serde_json::Value;

use crate::WorkflowError;

/// What the job is asked to do.
#[derive(Debug, Clone, PartialEq)]
pub struct InfoSettings {
    /// The file.
    pub path: PathBuf,
    /// What its pixels are, if it is a raw file.
    pub raw: Option<RawDescription>,
}

/// What there is to know of a file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileInfo {
    /// The file.
    pub file: PathBuf,
    /// Its format.
    pub format: &'static str,
    /// Its length.
    pub bytes: u64,
    /// Number of the signal in which columns are looked for if none is named; `None` if there is none.
    pub analysed: Option<usize>,
    /// What it holds.
    pub signals: Vec<SignalInfo>,
    /// What a user should know about how it was read.
    pub notes: Vec<String>,
}

/// What there is to know of a signal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SignalInfo {
    /// Number in the file, counted from 1.
    pub number: usize,
    /// What the file calls it.
    pub title: String,
    /// What it is.
    pub kind: String,
    /// Whether columns can be looked for in it.
    pub analysable: bool,
    /// Why not, or what to mind.
    pub remark: Option<String>,
    /// Lengths along the axes, the slowest first.
    pub shape: Vec<usize>,
    /// Number of images; `None` if it is none.
    pub frames: Option<u64>,
    /// Type of the pixels, by NumPy's name.
    pub pixel_type: &'static str,
    /// Bytes of the pixels once they are unpacked.
    pub data_bytes: u64,
    /// The axes with their calibration.
    pub axes: Vec<Axis>,
    /// Distance between pixels, where the file has it.
    pub pixel_size: Option<PixelSizeInfo>,
    /// Conditions of the recording.
    pub acquisition: Acquisition,
    /// The original metadata.
    pub metadata: Value,
}

/// Distance between pixels and how it is known.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PixelSizeInfo {
    /// Along x.
    pub x_nm: f64,
    /// Along y.
    pub y_nm: f64,
    /// Where in the file it stands.
    pub source: &'static str,
}

/// Runs the job.
///
/// # Errors
/// A file that cannot be read.
pub fn run(settings: &InfoSettings) -> Result<FileInfo, WorkflowError> {
    let file = open_file(&settings.path, settings.raw.as_ref())?;
    let bytes = std::fs::metadata(&settings.path).map_err(|error| WorkflowError::read(&settings.path, &error))?.len();
    let signals: Vec<SignalInfo> =
        file.signals.iter().enumerate().map(|(index, signal)| describe(&file, index + 1, signal)).collect();
    // The one that the reader prefers, unless columns cannot be in it.
    let preferred =
        file.image().ok().and_then(|best| file.signals.iter().position(|signal| std::ptr::eq(signal, best)));
    let analysed = preferred
        .filter(|index| signals[*index].analysable)
        .or_else(|| signals.iter().position(|signal| signal.analysable))
        .map(|index| index + 1);
    Ok(FileInfo { file: settings.path.clone(), format: file.format, bytes, analysed, signals, notes: file.notes })
}

/// Opens a file of any known format, or a raw one as it is described.
///
/// # Errors
/// A file that cannot be read.
pub fn open_file(path: &Path, raw: Option<&RawDescription>) -> Result<SignalFile, WorkflowError> {
    Ok(match raw {
        Some(raw) => open_raw(path, raw)?,
        None => open(path)?,
    })
}

/// Why columns cannot be looked for in a signal; `None` if they can.
pub fn obstacle(signal: &Signal) -> Option<String> {
    let Some((y, x)) = signal.image_axes() else {
        return Some(format!("no image: {}", signal.kind()));
    };
    if signal.frames() == 0 {
        return Some("no image: it is empty".to_owned());
    }
    if matches!(signal.pixel, PixelType::Complex64 | PixelType::Complex128) {
        return Some("complex numbers: a wave or a Fourier transform, not an image that a camera took".to_owned());
    }
    [x, y].into_iter().find_map(|axis| {
        let unit = shown(&axis.unit);
        if is_reciprocal(&unit) {
            Some(format!("a diffraction pattern or a Fourier transform: its pixels are in {unit}"))
        } else if axis.pitch_s().is_some() || unit.ends_with("eV") {
            Some(format!("not an image of a specimen: its pixels are in {unit} along {}", named(axis)))
        } else {
            None
        }
    })
}

fn is_reciprocal(unit: &str) -> bool {
    let unit = unit.to_ascii_lowercase();
    unit.starts_with("1/") || unit.starts_with("1 /") || unit.contains("-1") || unit.contains("rad") || unit == "deg"
}

fn describe(file: &SignalFile, number: usize, signal: &Signal) -> SignalInfo {
    /// Distances between columns are 0.1 to 0.3 nm, and there is no telling two apart without a pixel in between.
    const COARSEST_NM: f64 = 0.15;
    let pixel_size = signal.pixel_size().map(|size| PixelSizeInfo {
        x_nm: size.x_nm,
        y_nm: size.y_nm,
        source: calibration_source(file.format, &signal.metadata),
    });
    let mut remark = obstacle(signal);
    if let (None, Some(size)) = (&remark, &pixel_size)
        && size.x_nm.max(size.y_nm) > COARSEST_NM
    {
        let coarse = rounded(size.x_nm.max(size.y_nm));
        remark = Some(format!("an image whose pixels of {coarse} nm are too coarse to show columns"));
    }
    let analysable = remark.is_none();
    if analysable && pixel_size.is_none() {
        let unit = signal.image_axes().map(|(_, x)| shown(&x.unit)).unwrap_or_default();
        let what =
            if unit.is_empty() { String::new() } else { format!("{unit:?} is no unit of length that is known: ") };
        remark = Some(what + "the pixel size has to be stated, or is estimated from the lattice");
    } else if analysable && signal.pixel.parts() > 1 {
        remark = Some("colours: their luminance is looked at".to_owned());
    }
    SignalInfo {
        number,
        title: signal.title.clone(),
        kind: signal.kind(),
        analysable,
        remark,
        shape: signal.shape(),
        frames: signal.is_image().then(|| signal.frames()),
        pixel_type: signal.pixel.name(),
        data_bytes: signal.elements().saturating_mul(signal.pixel.bytes() as u64),
        axes: signal.axes.clone(),
        pixel_size,
        acquisition: signal.acquisition.clone(),
        metadata: signal.metadata.clone(),
    }
}

/// Where a format keeps the calibration of pixels.
fn calibration_source(format: &str, metadata: &Value) -> &'static str {
    match format {
        "DigitalMicrograph 3" | "DigitalMicrograph 4" => "the tags ImageData.Calibrations",
        "TIA series (SER)" | "TIA (EMI and SER)" => "the calibration in the series",
        "Velox EMD" => "BinaryResult.PixelSize in the metadata",
        "Berkeley EMD" => "the dimensions beside the data",
        "HSPY" => "the axes beside the data",
        "MRC" => "the lengths of the cell in the header, or the extended header",
        "TVIPS" => "the header of the series",
        "TIFF" => {
            let has = |tag: &str| metadata.get(tag).is_some();
            let description = metadata["ImageDescription"].as_str().unwrap_or_default();
            if has("FEI") {
                "the tags of FEI (PixelWidth or the field of view)"
            } else if has("Zeiss") {
                "the tag of Zeiss"
            } else if has("TVIPS") {
                "the tag of TVIPS"
            } else if has("JEOL") {
                "the resolution and the magnification in JEOL's description"
            } else if has("Hamamatsu") {
                "the tables of Hamamatsu's description"
            } else if description.starts_with("ImageJ=") {
                "ImageJ's description and the resolution tags"
            } else if description.contains("<OME") {
                "OME's description"
            } else if has("65009") {
                "the tags of DigitalMicrograph"
            } else {
                "the tags"
            }
        }
        _ => "the axes in the file",
    }
}

/// A number with six digits, without the tail of binary fractions.
pub(crate) fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

/// A text from a file as a terminal may show it: on one line, without control characters.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 120;
    let mut shown: String = text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown.trim().to_owned()
}

fn named(axis: &Axis) -> String {
    if axis.name.is_empty() { "an axis without a name".to_owned() } else { shown(&axis.name) }
}

fn bytes_shown(bytes: u64) -> String {
    const UNITS: [(f64, &str); 3] = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    let bytes_f64 = bytes as f64;
    UNITS.iter().find(|(size, _)| bytes_f64 >= *size).map_or_else(
        || format!("{bytes} {}", if bytes == 1 { "byte" } else { "bytes" }),
        |(size, unit)| format!("{:.1} {unit}", bytes_f64 / size),
    )
}

/// Number of leaves of a tree.
fn entries(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Object(map) => map.values().map(entries).sum(),
        Value::Array(list) if list.iter().any(|item| item.is_object() || item.is_array()) => {
            list.iter().map(entries).sum()
        }
        _ => 1,
    }
}

impl fmt::Display for FileInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}, {}", self.file.display(), self.format, bytes_shown(self.bytes))?;
        for signal in &self.signals {
            write!(f, "\n\n{signal}")?;
        }
        if self.signals.is_empty() {
            write!(f, "\n\nno signal")?;
        }
        if !self.notes.is_empty() {
            f.write_str("\n")?;
        }
        for note in &self.notes {
            write!(f, "\nnote: {}", shown(note))?;
        }
        match (self.analysed, self.signals.len()) {
            (None, _) => write!(f, "\n\nColumns cannot be looked for in this file."),
            (Some(number), 2..) => write!(f, "\n\nColumns are looked for in signal {number}."),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for SignalInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "signal {}", self.number)?;
        if !self.title.is_empty() {
            write!(f, " \"{}\"", shown(&self.title))?;
        }
        write!(f, ": {}, {}, {}", self.kind, self.pixel_type, bytes_shown(self.data_bytes))?;
        let mut line = |name: &str, text: String| write!(f, "\n  {name:<15}{text}");
        let width = self.axes.iter().map(|axis| named(axis).chars().count()).max().unwrap_or(0);
        for (place, axis) in self.axes.iter().enumerate() {
            let name = if place == 0 { "axes" } else { "" };
            line(name, format!("{:width$}  {}", named(axis), calibration(axis)))?;
        }
        if self.frames.is_some() {
            line(
                "pixel size",
                self.pixel_size.as_ref().map_or("not in the file".to_owned(), PixelSizeInfo::to_string),
            )?;
        }
        let found = &self.acquisition;
        let number = |value: Option<f64>, unit: &str| value.map(|value| format!("{} {unit}", rounded(value)));
        for (name, value) in [
            ("frame time", number(found.frame_time_s, "s")),
            ("voltage", number(found.voltage_kv, "kV")),
            ("dose", number(found.dose_e_per_a2, "e/A2 a frame")),
            ("magnification", number(found.magnification, "x")),
            ("camera length", number(found.camera_length_mm, "mm")),
            ("defocus", number(found.defocus_nm, "nm, with the sign of the instrument")),
            ("instrument", found.instrument.as_deref().map(shown)),
            ("detector", found.detector.as_deref().map(shown)),
            ("recorded", found.recorded.as_deref().map(shown)),
        ] {
            if let Some(value) = value {
                line(name, value)?;
            }
        }
        let unknown: Vec<&str> = [
            ("frame time", found.frame_time_s.is_none()),
            ("voltage", found.voltage_kv.is_none()),
            ("dose", found.dose_e_per_a2.is_none()),
        ]
        .into_iter()
        .filter_map(|(name, is_unknown)| is_unknown.then_some(name))
        .collect();
        if !unknown.is_empty() {
            line("not stated", unknown.join(", "))?;
        }
        match entries(&self.metadata) {
            0 => {}
            1 => line("metadata", "1 entry; --json shows it".to_owned())?,
            count => line("metadata", format!("{count} entries; --json shows them"))?,
        }
        let remark = self.remark.as_deref().unwrap_or_default();
        line(
            "columns",
            match (self.analysable, remark.is_empty()) {
                (true, true) => "can be looked for".to_owned(),
                (true, false) => format!("can be looked for; {remark}"),
                (false, _) => format!("cannot be looked for: {}", shown(remark)),
            },
        )
    }
}

impl fmt::Display for PixelSizeInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (x, y) = (rounded(self.x_nm), rounded(self.y_nm));
        if x == y {
            write!(f, "{x} nm, from {}", self.source)
        } else {
            write!(f, "{x} nm along x, {y} nm along y, from {}", self.source)
        }
    }
}

/// Length and calibration of an axis in words.
fn calibration(axis: &Axis) -> String {
    let mut text = axis.size.to_string();
    let unit = shown(&axis.unit);
    if unit.is_empty() && axis.scale == 1.0 && axis.offset == 0.0 {
        return text + ", not calibrated";
    }
    let unit = if unit.is_empty() { "without a unit".to_owned() } else { unit };
    // Writing to a string cannot fail.
    let _ = write!(text, ", {} {unit} apart", rounded(axis.scale));
    if axis.offset != 0.0 {
        let _ = write!(text, ", from {}", rounded(axis.offset));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_tell_images_from_what_looks_like_one() {
        let image = |unit: &str| {
            let axes = ["y", "x"].map(|name| Axis::signal(name, 2).calibrated(0.02, 0.0, unit)).to_vec();
            let data = atomlens_formats::signal::InMemory::new(vec![0; 4], PixelType::U8);
            obstacle(&Signal::new(Path::new("a"), "", PixelType::U8, axes, data).unwrap())
        };
        for unit in ["", "nm", "Å", "pm", "µm", "px", "[]", "furlong"] {
            assert_eq!(image(unit), None, "{unit}");
        }
        for unit in ["1/nm", "1 / nm", "nm^-1", "mrad", "rad"] {
            assert!(image(unit).is_some_and(|why| why.starts_with("a diffraction pattern")), "{unit}");
        }
        for unit in ["eV", "s", "keV", "ms"] {
            assert!(image(unit).is_some_and(|why| why.starts_with("not an image of a specimen")), "{unit}");
        }
    }

    #[test]
    fn numbers_and_texts_are_shown_as_people_write_them() {
        assert_eq!(rounded(0.1 + 0.2).to_string(), "0.3");
        assert_eq!(rounded(0.020_599_999_651_312_83).to_string(), "0.0206");
        assert_eq!([1, 999, 2_400_000].map(bytes_shown), ["1 byte", "999 bytes", "2.4 MB"]);
        assert_eq!(shown("a\u{1b}[2J\nb"), "a [2J b");
        let tree = serde_json::json!({"a": {"b": 1, "c": [1, 2]}, "d": [{"e": 1}, {"f": null}]});
        assert_eq!(entries(&tree), 3);
    }
}
