//! An axis with its calibration.

/// An axis: the place of element i is `offset + i scale`, in `unit`.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Axis {
    /// What runs along it, such as `x`, `time` or `Energy loss`; empty if the file does not say.
    pub name: String,
    /// Number of elements.
    pub size: usize,
    /// Distance between elements.
    pub scale: f64,
    /// Place of the first element.
    pub offset: f64,
    /// Unit of scale and offset as the file has it, such as `nm`, `1/nm` or `s`; empty if it has none.
    pub unit: String,
    /// Whether it counts frames, probe positions and the like rather than pixels of an image or channels of a spectrum.
    pub navigation: bool,
}

impl Axis {
    /// An axis of an image or a spectrum without calibration.
    pub fn signal(name: impl Into<String>, size: usize) -> Axis {
        Axis { name: name.into(), size, scale: 1.0, offset: 0.0, unit: String::new(), navigation: false }
    }

    /// An axis that counts frames or positions, without calibration.
    pub fn navigation(name: impl Into<String>, size: usize) -> Axis {
        Axis { navigation: true, ..Axis::signal(name, size) }
    }

    /// The same axis with a calibration.
    pub fn calibrated(self, scale: f64, offset: f64, unit: impl Into<String>) -> Axis {
        Axis { scale, offset, unit: unit.into(), ..self }
    }

    /// Distance between elements in nm; `None` if the unit is no length, and for zero, negative or infinite
    /// distances, which programs write where they know none.
    pub fn pitch_nm(&self) -> Option<f64> {
        let pitch = self.scale * nanometres(&self.unit)?;
        (pitch.is_finite() && pitch > 0.0).then_some(pitch)
    }

    /// Place of an element in nm; `None` if the unit is no length.
    pub fn place_nm(&self, index: usize) -> Option<f64> {
        let place = (self.offset + self.scale * index as f64) * nanometres(&self.unit)?;
        place.is_finite().then_some(place)
    }

    /// Distance between elements in seconds, likewise.
    pub fn pitch_s(&self) -> Option<f64> {
        let unit = match self.unit.trim() {
            "s" | "sec" | "seconds" | "second" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            "min" => 60.0,
            _ => return None,
        };
        let pitch = self.scale * unit;
        (pitch.is_finite() && pitch > 0.0).then_some(pitch)
    }
}

/// How many nanometres a unit of length is.
fn nanometres(unit: &str) -> Option<f64> {
    Some(match unit.trim() {
        "nm" | "nanometer" | "nanometre" | "nanometers" => 1.0,
        // Angstrom as a letter with a ring, as the sign of its own, and in plain letters.
        "A" | "Å" | "\u{212b}" | "Ang" | "ang" | "angstrom" | "Angstrom" | "angstroms" | "Å\u{0}" => 0.1,
        "pm" | "picometer" => 1e-3,
        // The micro sign and the Greek letter.
        "um" | "µm" | "μm" | "micron" | "microns" | "micrometer" | "micrometre" => 1e3,
        "mm" => 1e6,
        "cm" => 1e7,
        "m" | "meter" | "metre" => 1e9,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_length_become_nanometres_and_others_nothing() {
        let pitch = |scale, unit: &str| Axis::signal("x", 4).calibrated(scale, 0.0, unit).pitch_nm();
        assert_eq!(pitch(0.25, "nm"), Some(0.25));
        assert_eq!(pitch(2.5, "Å"), Some(0.25));
        assert_eq!(pitch(250.0, "pm"), Some(0.25));
        assert_eq!(pitch(0.5, "µm"), Some(500.0));
        assert_eq!(pitch(0.5, "μm"), Some(500.0));
        assert_eq!(pitch(2e-9, "m"), Some(2.0));
        for unit in ["1/nm", "1 / nm", "", "px", "mrad", "eV"] {
            assert_eq!(pitch(0.25, unit), None, "{unit}");
        }
        assert_eq!(pitch(-1.0, "nm"), None);
        let focus = |unit: &str| Axis::navigation("defocus", 3).calibrated(-5.0, 10.0, unit).place_nm(2);
        assert_eq!((focus("nm"), focus("um"), focus("")), (Some(0.0), Some(0.0), None));
        assert_eq!(Axis::navigation("defocus", 3).calibrated(-5.0, 1.0, "Å").place_nm(1), Some(-0.4));
        assert_eq!(pitch(f64::NAN, "nm"), None);
    }
}
