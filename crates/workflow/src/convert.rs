//! Signals of microscopes into files that other programs read, with what is lost on the way.
//!
//! Everything is found out before anything is written: which files can be read, where each signal goes, that nothing is
//! there yet. Pixels pass a few megabytes at a time, and a file takes its name when it is complete.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use atomlens_formats::signal::{Axis, Elements, PixelType, RawDescription, Signal};
use atomlens_formats::{ExportFormat, FormatError, write_signal};
use serde::Serialize;

use crate::info::{open_file, rounded};
use crate::{Context, WorkflowError};

/// What the job is asked to do.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvertSettings {
    /// The files.
    pub files: Vec<PathBuf>,
    /// The format that they become.
    pub to: ExportFormat,
    /// The folder for the new files, made if there is none; `None` for the folder of each file.
    pub out: Option<PathBuf>,
    /// Number of the signal, counted from 1; `None` for all that a file holds.
    pub signal: Option<usize>,
    /// Distance between pixels, instead of what the files say.
    pub pixel_size_nm: Option<f64>,
    /// What their pixels are, if they are raw files.
    pub raw: Option<RawDescription>,
}

/// What the job did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ConvertSummary {
    /// What was written.
    pub written: Vec<Written>,
    /// Signals that the format cannot hold, of files of which others were written.
    pub left_out: Vec<LeftOut>,
    /// Files of which nothing was written, and why.
    pub failed: Vec<Failed>,
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Written {
    /// The source.
    pub file: PathBuf,
    /// Number of the signal in it, counted from 1.
    pub signal: usize,
    /// What it is.
    pub kind: String,
    /// The new file.
    pub out: PathBuf,
    /// How the numbers are written, where their type is not the source's.
    pub changed: Option<String>,
    /// What the new file has no place for.
    pub lost: Vec<String>,
}

/// A signal that was not written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeftOut {
    /// The source.
    pub file: PathBuf,
    /// Number of the signal in it, counted from 1.
    pub signal: usize,
    /// Why not.
    pub reason: String,
}

/// A file of which nothing was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Failed {
    /// The source.
    pub file: PathBuf,
    /// Why not.
    pub error: String,
    /// The exit code that it has by itself.
    pub exit_code: u8,
}

impl ConvertSummary {
    /// The error of the files that failed; `None` if none did.
    pub fn failure(&self) -> Option<WorkflowError> {
        let first = self.failed.first()?;
        let files: std::collections::BTreeSet<&Path> =
            self.written.iter().map(|written| written.file.as_path()).collect();
        let reasons: Vec<&str> = self.failed.iter().map(|failed| failed.error.as_str()).collect();
        Some(WorkflowError::SomeFailed {
            failed: self.failed.len(),
            total: self.failed.len() + files.len(),
            reasons: reasons.join("; "),
            exit_code: first.exit_code,
        })
    }
}

impl fmt::Display for ConvertSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<String> = Vec::new();
        for written in &self.written {
            let (file, number, out) = (written.file.display(), written.signal, written.out.display());
            lines.push(format!("{file}, signal {number} ({}) -> {out}", written.kind));
            lines.extend(written.changed.iter().map(|changed| format!("  changed: {changed}")));
            lines.extend(written.lost.iter().map(|lost| format!("  lost: {lost}")));
        }
        for left in &self.left_out {
            lines.push(format!("{}, signal {} left out: {}", left.file.display(), left.signal, left.reason));
        }
        f.write_str(&lines.join("\n"))
    }
}

/// A file whose signals have places to go to.
struct Planned {
    file: PathBuf,
    signals: Vec<(usize, Signal, PathBuf)>,
}

/// Runs the job. A file that cannot be converted does not keep the others from it; see [`ConvertSummary::failure`].
///
/// # Errors
/// The error of the only file, a folder that cannot be made, Ctrl-C.
pub fn run(settings: &ConvertSettings, context: &Context) -> Result<ConvertSummary, WorkflowError> {
    let mut summary = ConvertSummary::default();
    let only = settings.files.len() == 1;
    let fail = |file: &Path, error: WorkflowError, summary: &mut ConvertSummary| {
        if only || matches!(error, WorkflowError::Cancelled { .. }) {
            return Err(error);
        }
        summary.failed.push(Failed { file: file.to_owned(), exit_code: error.exit_code(), error: error.to_string() });
        Ok(())
    };
    let mut plans = Vec::new();
    let mut taken = BTreeMap::new();
    for file in &settings.files {
        match plan(settings, file, &mut taken) {
            Ok(plan) => plans.push(plan),
            Err(error) => fail(file, error, &mut summary)?,
        }
    }
    if let (Some(out), false) = (&settings.out, plans.is_empty()) {
        std::fs::create_dir_all(out).map_err(|error| WorkflowError::write(out, &error))?;
    }
    const MB: u64 = 1_000_000;
    let bytes: u64 = plans.iter().flat_map(|plan| &plan.signals).map(|(_, signal, _)| data_bytes(signal)).sum();
    context.progress.begin(bytes / MB, "MB");
    let copied = Arc::new(AtomicU64::new(0));
    let total = plans.iter().map(|plan| plan.signals.len() as u64).sum();
    for plan in plans {
        let mut refused = Vec::new();
        let before = summary.written.len();
        for (number, signal, out) in plan.signals {
            let start = copied.load(Ordering::Relaxed);
            match write(&signal, &out, settings.to, context, &copied) {
                Ok(()) => summary.written.push(Written {
                    file: plan.file.clone(),
                    signal: number,
                    kind: signal.kind(),
                    changed: change(signal.pixel, settings.to),
                    lost: losses(&signal, settings.to),
                    out,
                }),
                Err(_) if context.is_cancelled() => {
                    let done = summary.written.len() as u64;
                    return Err(WorkflowError::Cancelled { done, total, unit: "files" });
                }
                Err(error) => refused.push((number, error)),
            }
            copied.store(start + data_bytes(&signal), Ordering::Relaxed);
        }
        if summary.written.len() > before {
            for (signal, error) in refused {
                summary.left_out.push(LeftOut { file: plan.file.clone(), signal, reason: error.to_string() });
            }
        } else if let Some((_, error)) = refused.into_iter().next() {
            fail(&plan.file, error.into(), &mut summary)?;
        }
    }
    Ok(summary)
}

fn data_bytes(signal: &Signal) -> u64 {
    signal.elements().saturating_mul(signal.pixel.bytes() as u64)
}

/// Opens a file and finds a place for each of its signals. `taken` has the source of every place that is given already.
fn plan(
    settings: &ConvertSettings,
    path: &Path,
    taken: &mut BTreeMap<PathBuf, PathBuf>,
) -> Result<Planned, WorkflowError> {
    let opened = open_file(path, settings.raw.as_ref())?;
    let count = opened.signals.len();
    if count == 0 {
        return Err(WorkflowError::NoSignal { path: path.to_owned(), found: "no signal".to_owned(), asked: 1 });
    }
    if let Some(asked) = settings.signal
        && !(1..=count).contains(&asked)
    {
        let found = if count == 1 { "one signal".to_owned() } else { format!("{count} signals") };
        return Err(WorkflowError::NoSignal { path: path.to_owned(), found, asked });
    }
    let folder = settings.out.clone().unwrap_or_else(|| path.parent().map(Path::to_owned).unwrap_or_default());
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let mut signals = Vec::new();
    for (number, mut signal) in (1..).zip(opened.signals) {
        if settings.signal.is_some_and(|asked| asked != number) {
            continue;
        }
        let name = if count == 1 { stem.to_owned() } else { format!("{stem}_{number}") };
        let out = folder.join(format!("{name}.{}", settings.to.extension()));
        if out.symlink_metadata().is_ok() {
            let reason = "there is a file of this name, and nothing is overwritten: remove it or choose another --out";
            return Err(WorkflowError::Write { path: out, reason: reason.to_owned() });
        }
        if let Some(other) = taken.insert(out.clone(), path.to_owned()) {
            let reason = format!(
                "both {} and {} would become it; convert them into different folders",
                other.display(),
                path.display()
            );
            return Err(WorkflowError::Write { path: out, reason });
        }
        calibrate(&mut signal, settings.pixel_size_nm);
        signals.push((number, signal, out));
    }
    Ok(Planned { file: path.to_owned(), signals })
}

/// Puts the pixel size that the user states in the place of the file's.
fn calibrate(signal: &mut Signal, pixel_size_nm: Option<f64>) {
    let (Some(pixel_size_nm), true) = (pixel_size_nm, signal.is_image()) else { return };
    let first = signal.axes.len() - 2;
    for axis in &mut signal.axes[first..] {
        // Offsets are in the old unit.
        (axis.scale, axis.offset, axis.unit) = (pixel_size_nm, 0.0, "nm".to_owned());
    }
}

/// The elements of a signal; tells how far the reading is, and ends it when the user wants to stop.
struct Watched {
    signal: Signal,
    path: PathBuf,
    context: Context,
    copied: Arc<AtomicU64>,
}

impl Elements for Watched {
    fn read(&self, first: u64, count: usize) -> Result<Vec<u8>, FormatError> {
        if self.context.is_cancelled() {
            return Err(FormatError::Read { path: self.path.clone(), error: io::Error::other("stopped") });
        }
        let bytes = self.signal.read(first, count)?;
        let copied = self.copied.fetch_add(bytes.len() as u64, Ordering::Relaxed) + bytes.len() as u64;
        self.context.progress.done(copied / 1_000_000);
        Ok(bytes)
    }
}

fn write(
    signal: &Signal,
    out: &Path,
    to: ExportFormat,
    context: &Context,
    copied: &Arc<AtomicU64>,
) -> Result<(), FormatError> {
    let source =
        Watched { signal: signal.clone(), path: out.to_owned(), context: context.clone(), copied: copied.clone() };
    let mut watched = Signal::new(out, signal.title.clone(), signal.pixel, signal.axes.clone(), source)?;
    watched.acquisition = signal.acquisition.clone();
    watched.metadata = signal.metadata.clone();
    write_signal(out, &watched, to)
}

/// What a format has no place for.
fn losses(signal: &Signal, to: ExportFormat) -> Vec<String> {
    let mut lost = Vec::new();
    match to {
        ExportFormat::Hspy => {
            if has_long_text(&signal.metadata) {
                lost.push("the ends of metadata longer than 60 000 bytes".to_owned());
            }
            return lost;
        }
        ExportFormat::Npy => lost.extend(calibration_in_words(signal)),
        ExportFormat::Tiff | ExportFormat::Mrc => lost.extend(axis_losses(signal, to)),
    }
    let found = &signal.acquisition;
    let keeps_time = stack(signal, to).iter().any(|(axis, kept)| *kept && axis.pitch_s().is_some());
    let conditions = [
        ("the voltage", found.voltage_kv.is_some()),
        ("the dose", found.dose_e_per_a2.is_some()),
        ("the frame time", found.frame_time_s.is_some() && !keeps_time),
        ("the defocus", found.defocus_nm.is_some()),
        ("the instrument", found.instrument.is_some() || found.detector.is_some()),
        ("the date", found.recorded.is_some()),
        ("the original metadata", !signal.metadata.is_null() && signal.metadata != serde_json::json!({})),
    ];
    let conditions: Vec<&str> = conditions.into_iter().filter_map(|(name, there)| there.then_some(name)).collect();
    if !conditions.is_empty() {
        lost.push(format!("{} (HSPY keeps them)", conditions.join(", ")));
    }
    lost
}

/// What the numbers become where a format has not their type.
fn change(pixel: PixelType, to: ExportFormat) -> Option<String> {
    let becomes = match (to, pixel) {
        (ExportFormat::Mrc, PixelType::Bool | PixelType::U8) => "uint16, which holds them all",
        (ExportFormat::Mrc, PixelType::U32 | PixelType::I32 | PixelType::U64 | PixelType::I64) => {
            "float32, which holds these numbers exactly"
        }
        (ExportFormat::Mrc, PixelType::F64) => "float32, with 7 digits",
        (ExportFormat::Tiff, PixelType::F16) => "float32, which holds them all",
        (ExportFormat::Tiff, PixelType::Bool) => "uint8",
        (ExportFormat::Npy, PixelType::Rgb8 | PixelType::Rgba8 | PixelType::Rgb16 | PixelType::Rgba16) => {
            "a last axis of colours"
        }
        _ => return None,
    };
    Some(format!("{} is written as {becomes}", pixel.name()))
}

/// The axes in front of y and x that have more than one element, with whether their calibration is written.
fn stack(signal: &Signal, to: ExportFormat) -> Vec<(&Axis, bool)> {
    let axes = &signal.axes[..signal.axes.len().saturating_sub(2)];
    let stack: Vec<&Axis> = axes.iter().filter(|axis| axis.size > 1).collect();
    let count = stack.len();
    let kept = |place: usize, axis: &Axis| match (count, place) {
        _ if to != ExportFormat::Tiff => false,
        (1, _) => axis.pitch_s().is_some() || axis.pitch_nm().is_some(),
        (2 | 3, 0) => axis.pitch_s().is_some(),
        (2 | 3, 1) => axis.pitch_nm().is_some(),
        _ => false,
    };
    stack.into_iter().enumerate().map(|(place, axis)| (axis, kept(place, axis))).collect()
}

/// The calibration of a format that has none, so that a user can state it later.
fn calibration_in_words(signal: &Signal) -> Option<String> {
    let axes: Vec<String> = signal
        .axes
        .iter()
        .filter(|axis| is_calibrated(axis))
        .map(|axis| format!("{} {} {}", axis.name, rounded(axis.scale), axis.unit).trim().to_owned())
        .collect();
    let advice = match signal.pixel_size() {
        Some(size) if rounded(size.x_nm) == rounded(size.y_nm) => {
            format!("; state it again with --pixel-size-nm {}", rounded(size.x_nm))
        }
        _ => String::new(),
    };
    (!axes.is_empty()).then(|| format!("the calibration ({}){advice}", axes.join(", ")))
}

/// What TIFF and MRC lose of the axes.
fn axis_losses(signal: &Signal, to: ExportFormat) -> Vec<String> {
    let mut lost = Vec::new();
    let Some((y, x)) = signal.image_axes() else { return lost };
    let is_known = !x.unit.is_empty() || x.scale != 1.0;
    if is_known && (to == ExportFormat::Mrc || x.unit.is_empty()) && signal.pixel_size().is_none() {
        lost.push(format!("the calibration of x and y ({} {}), which is no length", rounded(x.scale), x.unit));
    }
    if to == ExportFormat::Tiff && x.unit != y.unit && (x.pitch_nm().is_none() || y.pitch_nm().is_none()) {
        lost.push(format!("the unit of y ({}), which differs from that of x", y.unit));
    }
    if x.offset != 0.0 || y.offset != 0.0 {
        lost.push("the place of the first pixel (the offset of x and y)".to_owned());
    }
    let stack = stack(signal, to);
    let most = if to == ExportFormat::Tiff { 3 } else { 1 };
    if stack.len() > most {
        let names: Vec<String> = stack.iter().map(|(axis, _)| format!("{} ({})", axis.name, axis.size)).collect();
        lost.push(format!("the axes {}, which become one of {} images", names.join(", "), signal.frames()));
    }
    for (axis, kept) in stack {
        if !kept && is_calibrated(axis) {
            lost.push(format!("the calibration of {} ({} {})", axis.name, rounded(axis.scale), axis.unit));
        } else if kept && axis.offset != 0.0 {
            lost.push(format!("the place of the first image along {}", axis.name));
        }
    }
    lost
}

fn is_calibrated(axis: &Axis) -> bool {
    !axis.unit.is_empty() || axis.scale != 1.0 || axis.offset != 0.0
}

/// Whether a tree has a text that HDF5's attributes cut.
fn has_long_text(value: &serde_json::Value) -> bool {
    const LONGEST: usize = 60_000;
    match value {
        serde_json::Value::String(text) => text.len() > LONGEST,
        serde_json::Value::Array(list) => list.iter().any(has_long_text) || list.len() * 8 > LONGEST,
        serde_json::Value::Object(map) => map.values().any(has_long_text),
        _ => false,
    }
}
