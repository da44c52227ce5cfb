//! What a file says about the recording, in the units that microscopists use.

/// Conditions of the recording; `None` where the file does not say.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Acquisition {
    /// Acceleration voltage, kV.
    pub voltage_kv: Option<f64>,
    /// Dose of a frame, electrons per square angstrom.
    pub dose_e_per_a2: Option<f64>,
    /// Exposure of a frame, s; for a movie without a record of the exposure, the time from frame to frame.
    pub frame_time_s: Option<f64>,
    /// Magnification as the instrument states it.
    pub magnification: Option<f64>,
    /// Camera length, mm.
    pub camera_length_mm: Option<f64>,
    /// Defocus as the instrument states it, nm; the sign is the instrument's.
    pub defocus_nm: Option<f64>,
    /// The microscope.
    pub instrument: Option<String>,
    /// The camera or detector.
    pub detector: Option<String>,
    /// Date and time of the recording, in the file's own words.
    pub recorded: Option<String>,
}

/// A number that can be what it is said to be: finite and above zero.
pub(crate) fn positive(value: f64) -> Option<f64> {
    (value.is_finite() && value > 0.0).then_some(value)
}
