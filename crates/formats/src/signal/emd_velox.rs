//! EMD as Velox (FEI, Thermo Fisher Scientific) writes it.
//!
//! The layout is not published; this follows what its files show. `/Data/Image/ID/Data` is `[y, x, frame]`, one chunk a
//! frame, and is given out as `[frame, y, x]`, or `[y, x]` for one frame. `Metadata` beside it has a JSON document per frame,
//! in columns of bytes that end with a zero. Pixel sizes are in metres there and get the prefix that fits the field of
//! view. Transforms and differential phase contrast are complex; Velox stores the half of a transform that is
//! not redundant. Spectra and EELS spectrum images are listed; streams of X-ray events are named in the notes.

use hdf5_pure::Group;
use serde_json::Value;

use super::hdf5::{Hdf5, names};
use super::units::{compact, convert};
use super::{Acquisition, Axis, PixelType, Signal, SignalFile, acquisition::positive};
use crate::FormatError;

pub(super) fn recognises(file: &Hdf5<'_>) -> bool {
    let version = file.dataset("Version").and_then(|dataset| file.json(&dataset));
    version.is_some_and(|version| matches!(version["format"].as_str(), Some("Velox" | "DevelopersKit")))
}

pub(super) fn open(file: &Hdf5<'_>) -> Result<SignalFile, FormatError> {
    let mut found =
        SignalFile { path: file.input.path.clone(), format: "Velox EMD", signals: Vec::new(), notes: Vec::new() };
    let Some(data) = file.group("Data") else {
        return Err(file.other("a Velox file with data", "one without the group /Data"));
    };
    let operations = file.group("Operations").map(|group| file.tree(&group)).unwrap_or_default();
    let (kinds, _) = names(&data);
    for kind in kinds {
        let Ok(group) = data.group(&kind) else { continue };
        let (items, _) = names(&group);
        for item in items {
            let Ok(inside) = group.group(&item) else { continue };
            let read = match kind.as_str() {
                "Image" => image(file, &inside, &item, &operations),
                "Spectrum" => spectrum(file, &inside),
                "EelsSpectrumImage" => eels(file, &inside),
                "SpectrumStream" => {
                    found.notes.push("X-ray events (a spectrum stream) were left out".to_owned());
                    continue;
                }
                _ => continue,
            };
            match read {
                Ok(signal) => found.signals.push(signal),
                Err(error) if found.signals.is_empty() && kind == "Image" => return Err(error),
                Err(error) => found.notes.push(format!("{kind} {item} was left out: {error}")),
            }
        }
    }
    found.notes.dedup();
    Ok(found)
}

fn image(file: &Hdf5<'_>, group: &Group, item: &str, operations: &Value) -> Result<Signal, FormatError> {
    let (metadata, pixel, shape, elements) = data(file, group, |axes| match axes {
        3 => vec![2, 0, 1],
        other => (0..other).collect(),
    })?;
    let (frames, ny, nx) = match *shape.as_slice() {
        [frames, ny, nx] => (frames, ny, nx),
        [ny, nx] => (1, ny, nx),
        _ => return Err(file.other("an image of shape [y, x, frame]", format!("one of shape {shape:?}"))),
    };
    let result = &metadata["BinaryResult"];
    let unit = result["PixelUnitX"].as_str().unwrap_or_default();
    let (x_scale, x_unit) = compact(number(&result["PixelSize"]["width"]).unwrap_or(1.0), unit, nx as f64 / 2.0);
    let in_unit = |value: &Value, otherwise: f64| {
        number(value).and_then(|value| convert(value, unit, &x_unit)).unwrap_or(otherwise)
    };
    let y_scale = in_unit(&result["PixelSize"]["height"], 1.0);
    let mut axes = vec![
        Axis::signal("y", ny).calibrated(y_scale, in_unit(&result["Offset"]["y"], 0.0), &x_unit),
        Axis::signal("x", nx).calibrated(x_scale, in_unit(&result["Offset"]["x"], 0.0), &x_unit),
    ];
    let acquisition = acquisition(&metadata);
    if frames != 1 {
        let (scale, unit) = compact(acquisition.frame_time_s.unwrap_or(1.0), "s", frames as f64);
        let unit = if acquisition.frame_time_s.is_some() { unit } else { String::new() };
        axes.insert(0, Axis::navigation("Time", frames).calibrated(scale, 0.0, unit));
    }
    let title = title(item, operations, &metadata);
    let mut signal = Signal::new(&file.input.path, title, pixel, axes, elements)?;
    signal.acquisition = acquisition;
    signal.metadata = metadata;
    Ok(signal)
}

fn spectrum(file: &Hdf5<'_>, group: &Group) -> Result<Signal, FormatError> {
    let (metadata, pixel, shape, elements) = data(file, group, |axes| (0..axes).rev().collect())?;
    let detector = detector(&metadata);
    let dispersion = number(&detector["Dispersion"]).map(|step| step / 1000.0);
    let offset = number(&detector["OffsetEnergy"]).map_or(0.0, |offset| offset / 1000.0);
    let channels = shape.last().copied().unwrap_or(0);
    let mut axes = vec![Axis::signal("Energy", channels)];
    if let Some(step) = dispersion {
        axes[0] = Axis::signal("Energy", channels).calibrated(step, offset, "keV");
    }
    if let &[count, _] = shape.as_slice()
        && count != 1
    {
        axes.insert(0, Axis::navigation("Stack", count));
    }
    let mut signal = Signal::new(&file.input.path, "EDS spectrum", pixel, axes, elements)?;
    signal.acquisition = acquisition(&metadata);
    signal.metadata = metadata;
    Ok(signal)
}

fn eels(file: &Hdf5<'_>, group: &Group) -> Result<Signal, FormatError> {
    let (metadata, pixel, shape, elements) = data(file, group, |axes| match axes {
        3 => vec![2, 0, 1],
        other => (0..other).collect(),
    })?;
    let energies =
        group.dataset("AcquisitionMetadata").ok().and_then(|dataset| file.json(&dataset)).unwrap_or_default();
    let energies = &energies["Data"];
    let mut axes: Vec<Axis> = shape
        .iter()
        .zip(["y", "x"].iter().skip(3usize.saturating_sub(shape.len())))
        .map(|(size, name)| Axis::navigation(*name, *size))
        .collect();
    let channels = shape.last().copied().unwrap_or(0);
    let axis = Axis::signal("Energy-loss", channels);
    axes.truncate(shape.len().saturating_sub(1));
    axes.push(match (number(&energies["dispersion"]), number(&energies["offset"])) {
        (Some(step), Some(offset)) => axis.calibrated(step, offset, "eV"),
        _ => axis,
    });
    if axes.len() != shape.len() {
        return Err(file.other("spectra along x, or y and x", format!("an array of shape {shape:?}")));
    }
    let mut signal = Signal::new(&file.input.path, "EELS", pixel, axes, elements)?;
    signal.acquisition = acquisition(&metadata);
    signal.metadata = metadata;
    Ok(signal)
}

type Found = (Value, PixelType, Vec<usize>, super::hdf5::HdfElements);

fn data(file: &Hdf5<'_>, group: &Group, order: impl FnOnce(usize) -> Vec<usize>) -> Result<Found, FormatError> {
    let dataset = group.dataset("Data").map_err(|_| file.other("an array called Data", "a group without one"))?;
    let metadata = group.dataset("Metadata").ok().and_then(|dataset| file.json(&dataset)).unwrap_or_default();
    let (pixel, shape, elements) = file.array(&dataset, order)?;
    Ok((metadata, pixel, shape, elements))
}

/// Numbers are written as texts.
fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok()?,
        other => other.as_f64()?,
    };
    f64::is_finite(number).then_some(number)
}

/// The part of the metadata on the detector that recorded the signal.
fn detector(metadata: &Value) -> &Value {
    static NONE: Value = Value::Null;
    let Some(detectors) = metadata["Detectors"].as_object() else { return &NONE };
    let result = &metadata["BinaryResult"];
    if let Some(index) = number(&result["DetectorIndex"])
        && let Some(found) = detectors.get(&format!("Detector-{index}"))
    {
        return found;
    }
    let name = result["Detector"].as_str().unwrap_or_default();
    let named =
        |detector: &&Value| detector["DetectorName"].as_str().is_some_and(|n| !name.is_empty() && n.contains(name));
    detectors.values().find(named).unwrap_or(&NONE)
}

fn acquisition(metadata: &Value) -> Acquisition {
    let optics = &metadata["Optics"];
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let scaled = |value: &Value, factor: f64| number(value).map(|value| value * factor);
    let detector = detector(metadata);
    Acquisition {
        voltage_kv: scaled(&optics["AccelerationVoltage"], 1e-3).and_then(positive),
        dose_e_per_a2: None,
        frame_time_s: number(&metadata["Scan"]["FrameTime"])
            .or_else(|| number(&detector["ExposureTime"]))
            .and_then(positive),
        magnification: number(&metadata["CustomProperties"]["StemMagnification"]["value"])
            .or_else(|| number(&optics["NominalMagnification"]))
            .and_then(positive),
        camera_length_mm: scaled(&optics["CameraLength"], 1e3).and_then(positive),
        defocus_nm: scaled(&optics["Defocus"], 1e9),
        instrument: text(&metadata["Instrument"]["InstrumentModel"]),
        detector: text(&detector["DetectorName"]),
        recorded: number(&metadata["Acquisition"]["AcquisitionStartDatetime"]["DateTime"])
            .filter(|seconds| *seconds > 0.0)
            .map(|seconds| format!("{seconds} s after 1970-01-01T00:00:00Z")),
    }
}

/// What recorded or made an image: the operation that names its data, or else the detector.
fn title(item: &str, operations: &Value, metadata: &Value) -> String {
    const KINDS: [(&str, &str, Option<&str>); 6] = [
        ("CameraInputOperation", "cameraName", None),
        ("StemInputOperation", "detector", None),
        ("FftOperation", "", Some("Half FFT")),
        ("DpcOperation", "", Some("DPC")),
        ("IntegrationOperation", "", Some("DCFI")),
        ("SurfaceReconstructionOperation", "", Some("iDPC or dDPC")),
    ];
    for (kind, key, name) in KINDS {
        let Some(done) = operations[kind].as_object() else { continue };
        for operation in done.values() {
            let paths = ["dataPath", "imageOutputPath"];
            if paths.iter().any(|path| operation[path].as_str().is_some_and(|path| path.contains(item))) {
                let stated = operation[key].as_str();
                if let Some(title) = name.or(stated) {
                    return title.to_owned();
                }
            }
        }
    }
    match detector(metadata)["DetectorName"].as_str() {
        Some(name) => name.to_owned(),
        None => "image".to_owned(),
    }
}
