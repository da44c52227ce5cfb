//! Thermal motion as frozen phonons: each configuration displaces every atom at random, and intensities are averaged.
//!
//! Displacements are independent Gaussians along x, y and z (the Einstein model; Loane, Xu and Silcox 1991,
//! doi:10.1107/S0108767391000375), with the root-mean-square displacement along one direction, `u`, of the atom if the
//! structure gives one, else of the recipe, else of the table, where `B = 8 pi^2 u^2`.
//!
//! # The table
//! Debye-Waller factors of elemental crystals at 280 K from Peng, Ren, Dudarev and Whelan (1996),
//! doi:10.1107/S0108767395014371, Table 1, brought to 293 K with `B` in proportion to the temperature, as it is for all
//! but the hardest crystals. They agree with the calculations of Sears and Shelley (1991), doi:10.1107/S0108767391002970,
//! within 6 % (see the tests). Rhodium, ytterbium and iridium, which are not in it, have the Debye model's value at 293 K
//! with the Debye temperatures of 480 K, 120 K and 420 K in Kittel's *Introduction to Solid State Physics*. An element in
//! a compound moves otherwise than in its crystal: give its value in the recipe.

use std::collections::BTreeMap;
use std::f64::consts::PI;

use atomlens_core::glam::DVec3;
use atomlens_core::{Atom, Distribution, Element, SeedPath, Structure};
use rand_distr::{Distribution as _, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::SpecimenError;

/// Thermal motion of a specimen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ThermalSettings {
    /// Number of frozen-phonon configurations whose intensities are averaged; 0 for atoms at rest.
    pub configurations: u32,
    /// Root-mean-square displacement along one direction by element, in angstrom, where the table does not suit.
    pub rms_displacement_angstrom: BTreeMap<Element, f64>,
    /// Multiplies every displacement, once drawn for a specimen.
    pub factor: Distribution,
}

impl Default for ThermalSettings {
    fn default() -> Self {
        ThermalSettings { configurations: 0, rms_displacement_angstrom: BTreeMap::new(), factor: 1.0.into() }
    }
}

impl ThermalSettings {
    /// Root-mean-square displacement of an atom along one direction, in angstrom, before the factor.
    ///
    /// # Errors
    /// [`SpecimenError::NotTabulated`] if neither the atom, the recipe nor the table has one.
    pub fn rms_displacement_angstrom(&self, atom: &Atom) -> Result<f64, SpecimenError> {
        atom.rms_displacement_angstrom
            .or_else(|| self.rms_displacement_angstrom.get(&atom.element).copied())
            .or_else(|| tabulated_rms_displacement_angstrom(atom.element))
            .ok_or(SpecimenError::NotTabulated {
                what: "thermal displacement",
                element: atom.element,
                key: "thermal.rms_displacement_angstrom",
            })
    }
}

/// One frozen-phonon configuration: the structure with every atom displaced at random. Seeds of configurations that
/// belong together share a parent: `seed.index(0)`, `seed.index(1)` and so on; the factor is drawn by the caller, once
/// for all of them, from [`ThermalSettings::factor`].
///
/// # Errors
/// If an atom's displacement is not known, or a displacement is negative.
pub fn displace_by(
    structure: &Structure,
    settings: &ThermalSettings,
    factor: f64,
    seed: SeedPath,
) -> Result<Structure, SpecimenError> {
    let mut random = seed.stream();
    let mut displaced = structure.clone();
    for atom in &mut displaced.atoms {
        let deviation = factor * settings.rms_displacement_angstrom(atom)?;
        if !(0.0..10.0).contains(&deviation) {
            return Err(SpecimenError::OutOfRange {
                key: "thermal.rms_displacement_angstrom",
                found: format!("{} = {deviation}", atom.element),
                expected: "0 to 10 angstrom",
            });
        }
        let mut draw = || -> f64 { StandardNormal.sample(&mut random) };
        atom.position_angstrom += deviation * DVec3::new(draw(), draw(), draw());
    }
    Ok(displaced)
}

/// One frozen-phonon configuration with a factor of its own; see [`displace_by`].
///
/// # Errors
/// As [`displace_by`].
pub fn displace(structure: &Structure, settings: &ThermalSettings, seed: SeedPath) -> Result<Structure, SpecimenError> {
    let factor = settings.factor.sample(&mut seed.child("factor").stream());
    displace_by(structure, settings, factor, seed)
}

/// All configurations of a specimen, with one factor for all: the structure itself where there are none to be displaced.
///
/// # Errors
/// As [`displace_by`].
pub fn configurations(
    structure: &Structure,
    settings: &ThermalSettings,
    seed: SeedPath,
) -> Result<Vec<Structure>, SpecimenError> {
    if settings.configurations == 0 {
        return Ok(vec![structure.clone()]);
    }
    let factor = settings.factor.sample(&mut seed.child("factor").stream());
    (0..settings.configurations)
        .map(|index| displace_by(structure, settings, factor, seed.index(u64::from(index))))
        .collect()
}

/// Root-mean-square displacement along one direction in the elemental crystal at 293 K, in angstrom.
pub fn tabulated_rms_displacement_angstrom(element: Element) -> Option<f64> {
    let found = |table: &[(&str, f64)]| table.iter().find(|row| row.0 == element.symbol()).map(|row| row.1);
    let b = found(&B_280_K).map(|b| b * 293.0 / 280.0).or_else(|| found(&B_DEBYE_293_K))?;
    Some((b / (8.0 * PI * PI)).sqrt())
}

/// `B` at 280 K in square angstrom, of the structure that is stable at room temperature.
const B_280_K: [(&str, f64); 37] = [
    ("Li", 4.595),
    ("Be", 0.404),
    ("C", 0.142),
    ("Na", 6.364),
    ("Mg", 1.731),
    ("Al", 0.746),
    ("Si", 0.463),
    ("K", 10.239),
    ("Ca", 1.908),
    ("Sc", 0.712),
    ("Ti", 0.491),
    ("V", 0.546),
    ("Cr", 0.239),
    ("Fe", 0.310),
    ("Ni", 0.340),
    ("Cu", 0.526),
    ("Zn", 1.091),
    ("Ge", 0.573),
    ("Sr", 3.622),
    ("Y", 0.817),
    ("Zr", 0.543),
    ("Nb", 0.429),
    ("Mo", 0.205),
    ("Pd", 0.425),
    ("Ag", 0.7017),
    ("Sn", 1.0825),
    ("Cs", 16.7698),
    ("Ba", 2.9279),
    ("La", 1.7739),
    ("Tb", 0.9660),
    ("Ho", 0.8023),
    ("Ta", 0.3078),
    ("W", 0.1526),
    ("Pt", 0.3557),
    ("Au", 0.5925),
    ("Pb", 2.0341),
    ("Th", 0.6977),
];

/// `B` at 293 K in square angstrom by the Debye model; see the module.
const B_DEBYE_293_K: [(&str, f64); 3] = [("Rh", 0.152), ("Yb", 1.357), ("Ir", 0.105)];

#[cfg(test)]
mod tests {
    use super::*;

    fn element(symbol: &str) -> Element {
        symbol.parse().unwrap()
    }

    fn debye_b(mass: f64, debye_kelvin: f64, kelvin: f64) -> f64 {
        // B = 6 h^2 / (M k Theta) (phi(x) / x + 1 / 4), x = Theta / T, with phi the Debye function of first order.
        let x = debye_kelvin / kelvin;
        let steps = 10_000;
        let integral: f64 = (0..steps)
            .map(|step| {
                let t = (f64::from(step) + 0.5) / f64::from(steps) * x;
                t / t.exp_m1() * x / f64::from(steps)
            })
            .sum();
        let (h, k, unit) = (6.626_070_15e-34, 1.380_649e-23, 1.660_539_07e-27);
        6.0 * h * h / (mass * unit * k * debye_kelvin) * (integral / x / x + 0.25) * 1e20
    }

    #[test]
    fn the_table_agrees_with_sears_and_shelley_and_with_debye() {
        // Sears and Shelley 1991, room temperature.
        let theirs = [
            ("Al", 0.81),
            ("V", 0.58),
            ("Fe", 0.34),
            ("Ni", 0.34),
            ("Cu", 0.56),
            ("Nb", 0.45),
            ("Pd", 0.45),
            ("Ag", 0.73),
            ("Ta", 0.32),
            ("W", 0.161),
            ("Pt", 0.37),
            ("Au", 0.62),
            ("Pb", 2.11),
            ("Mo", 0.22),
        ];
        for (symbol, b) in theirs {
            let ours = 8.0 * PI * PI * tabulated_rms_displacement_angstrom(element(symbol)).unwrap().powi(2);
            assert!((ours / b - 1.0).abs() < 0.06, "{symbol}: {ours}, theirs {b}");
        }
        for (symbol, mass, debye) in [("Rh", 102.91, 480.0), ("Yb", 173.05, 120.0), ("Ir", 192.22, 420.0)] {
            let ours = 8.0 * PI * PI * tabulated_rms_displacement_angstrom(element(symbol)).unwrap().powi(2);
            assert!(
                (ours / debye_b(mass, debye, 293.0) - 1.0).abs() < 0.01,
                "{symbol}: {}",
                debye_b(mass, debye, 293.0)
            );
        }
        assert!((tabulated_rms_displacement_angstrom(element("Au")).unwrap() - 0.0887).abs() < 1e-3);
    }

    #[test]
    fn displacements_have_the_variance_asked_for() {
        let gold = Atom::new(element("Au"), DVec3::new(1.0, 2.0, 3.0));
        let known = Atom { rms_displacement_angstrom: Some(0.2), ..gold };
        let oxygen = Atom::new(element("O"), DVec3::ZERO);
        let count = 20_000;
        let atoms = [gold, known, oxygen].into_iter().flat_map(|atom| std::iter::repeat_n(atom, count)).collect();
        let structure = Structure { atoms, cell: None };
        let settings: ThermalSettings =
            toml::from_str("configurations = 2\nrms_displacement_angstrom = { O = 0.07 }\nfactor = 1.5").unwrap();
        let found = configurations(&structure, &settings, SeedPath::new(9)).unwrap();
        assert_eq!(found.len(), 2);
        assert_ne!(found[0], found[1]);
        assert_eq!(found, configurations(&structure, &settings, SeedPath::new(9)).unwrap());
        let expected = [tabulated_rms_displacement_angstrom(element("Au")).unwrap(), 0.2, 0.07];
        for (group, rms) in expected.into_iter().enumerate() {
            for axis in 0..3 {
                let shifts: Vec<f64> = (group * count..(group + 1) * count)
                    .map(|i| (found[1].atoms[i].position_angstrom - structure.atoms[i].position_angstrom)[axis])
                    .collect();
                let mean = shifts.iter().sum::<f64>() / count as f64;
                let variance = shifts.iter().map(|shift| shift * shift).sum::<f64>() / count as f64;
                let expected = (1.5 * rms).powi(2);
                // Standard errors: 1 / sqrt(n) of the deviation, sqrt(2 / n) = 1 % of the variance; four of each.
                assert!(mean.abs() < 4.0 * expected.sqrt() / (count as f64).sqrt());
                assert!((variance / expected - 1.0).abs() < 0.04, "{variance} {expected}");
            }
        }
    }

    #[test]
    fn what_is_not_known_is_asked_for() {
        let structure = Structure { atoms: vec![Atom::new(element("O"), DVec3::ZERO)], cell: None };
        let settings = ThermalSettings { configurations: 1, ..Default::default() };
        let error = displace(&structure, &settings, SeedPath::new(1)).unwrap_err().to_string();
        assert!(error.contains("for O") && error.contains("rms_displacement_angstrom"), "{error}");
        assert!(toml::from_str::<ThermalSettings>("temperature = 3").is_err());
        let rest = ThermalSettings::default();
        assert_eq!(configurations(&structure, &rest, SeedPath::new(1)).unwrap(), [structure]);
    }
}
