//! What bounds a sheet: edges by half planes, straight or rough, and smooth holes.

use std::f64::consts::{PI, TAU};

use atomlens_core::Distribution;
use atomlens_core::glam::DVec2;
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::{check, check_fraction};
use crate::SpecimenError;

/// Which way an edge runs on the honeycomb.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EdgeDirection {
    /// Any direction.
    Any,
    /// Along one of the three zigzag directions.
    Zigzag,
    /// Along one of the three armchair directions.
    Armchair,
}

/// Edges: the sheet ends at each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EdgeSettings {
    /// Number of edges.
    pub count: Distribution,
    /// Their direction on the lattice.
    pub direction: EdgeDirection,
    /// Distance from the middle of the field, as a fraction of its shorter side; negative beyond the middle.
    pub distance_fraction: Distribution,
    /// Root-mean-square roughness, in angstrom; 0 is straight.
    pub roughness_angstrom: Distribution,
    /// Shortest wavelength of the roughness, in angstrom.
    pub roughness_wavelength_angstrom: Distribution,
}

impl Default for EdgeSettings {
    fn default() -> Self {
        EdgeSettings {
            count: 0.0.into(),
            direction: EdgeDirection::Any,
            distance_fraction: Distribution::Uniform(0.1, 0.4),
            roughness_angstrom: 0.0.into(),
            roughness_wavelength_angstrom: 12.0.into(),
        }
    }
}

/// Smooth holes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HoleSettings {
    /// Number of holes in the field of view.
    pub count: Distribution,
    /// Mean radius of a hole, in angstrom.
    pub radius_angstrom: Distribution,
    /// Root-mean-square deviation from a circle, as a fraction of the radius.
    pub irregularity_fraction: Distribution,
}

impl Default for HoleSettings {
    fn default() -> Self {
        HoleSettings {
            count: 0.0.into(),
            radius_angstrom: Distribution::Uniform(4.0, 12.0),
            irregularity_fraction: Distribution::Uniform(0.05, 0.2),
        }
    }
}

/// A curve around its mean: `sum amplitude cos(order t + phase)`, with a given root mean square.
#[derive(Debug, Clone)]
struct Wobble {
    /// Order, amplitude and phase.
    terms: Vec<(f64, f64, f64)>,
}

impl Wobble {
    fn sample(rms: f64, orders: impl Iterator<Item = f64>, random: &mut impl Rng) -> Wobble {
        let mut terms: Vec<(f64, f64, f64)> =
            orders.map(|order| (order, random.random::<f64>() / order, TAU * random.random::<f64>())).collect();
        let power: f64 = terms.iter().map(|(_, amplitude, _)| 0.5 * amplitude * amplitude).sum();
        for (_, amplitude, _) in &mut terms {
            *amplitude *= if power > 0.0 { rms / power.sqrt() } else { 0.0 };
        }
        Wobble { terms }
    }

    fn at(&self, t: f64) -> f64 {
        self.terms.iter().map(|&(order, amplitude, phase)| amplitude * (order * t + phase).cos()).sum()
    }
}

/// The edges and holes of one sheet.
#[derive(Debug, Clone)]
pub(crate) struct Outline {
    edges: Vec<(DVec2, f64, Wobble)>,
    holes: Vec<(DVec2, f64, Wobble)>,
}

impl Outline {
    /// Draws edges and holes for a sheet whose zigzag rows run along x.
    pub(crate) fn sample(
        edge: &EdgeSettings,
        hole: &HoleSettings,
        field_angstrom: [f64; 2],
        random: &mut impl Rng,
    ) -> Result<Outline, SpecimenError> {
        let few = "0 to 20";
        check("edge.count", &edge.count, [0.0, 20.0], few)?;
        check("edge.distance_fraction", &edge.distance_fraction, [-1.0, 10.0], "-1 to 10")?;
        check("edge.roughness_angstrom", &edge.roughness_angstrom, [0.0, 1000.0], "0 to 1000 angstrom")?;
        let wavelengths = &edge.roughness_wavelength_angstrom;
        check("edge.roughness_wavelength_angstrom", wavelengths, [1.0, 1e4], "1 to 10000 angstrom")?;
        check("hole.count", &hole.count, [0.0, 20.0], few)?;
        check("hole.radius_angstrom", &hole.radius_angstrom, [0.0, 1e4], "0 to 10000 angstrom")?;
        check_fraction("hole.irregularity_fraction", &hole.irregularity_fraction)?;

        let [width, height] = field_angstrom;
        let shorter = width.min(height);
        let edges = (0..edge.count.sample_count(random))
            .map(|_| {
                let sixth = f64::from(random.random_range(0..6_u8)) * PI / 3.0;
                let normal = match edge.direction {
                    EdgeDirection::Any => TAU * random.random::<f64>(),
                    // Rows run along x, so that the normals of zigzag edges begin at y and those of armchair at x.
                    EdgeDirection::Zigzag => sixth + PI / 6.0,
                    EdgeDirection::Armchair => sixth,
                };
                let distance = edge.distance_fraction.sample(random) * shorter;
                let rms = edge.roughness_angstrom.sample(random);
                let shortest = edge.roughness_wavelength_angstrom.sample(random);
                let orders = (1..=8).map(|order| TAU / shortest * f64::from(order) / 8.0);
                (DVec2::from_angle(normal), distance, Wobble::sample(rms, orders, random))
            })
            .collect();
        let holes = (0..hole.count.sample_count(random))
            .map(|_| {
                let mut along = |length: f64| 0.8 * length * (random.random::<f64>() - 0.5);
                let centre = DVec2::new(along(width), along(height));
                let radius = hole.radius_angstrom.sample(random);
                let rms = hole.irregularity_fraction.sample(random);
                (centre, radius, Wobble::sample(rms, (2..=5).map(f64::from), random))
            })
            .collect();
        Ok(Outline { edges, holes })
    }

    /// Whether the sheet has an atom at `place`.
    pub(crate) fn keeps(&self, place: DVec2) -> bool {
        let within = |(normal, distance, rough): &(DVec2, f64, Wobble)| {
            place.dot(*normal) < distance + rough.at(place.dot(normal.perp()))
        };
        let outside = |(centre, radius, wobble): &(DVec2, f64, Wobble)| {
            let from = place - centre;
            from.length() > radius * (1.0 + wobble.at(from.to_angle()))
        };
        self.edges.iter().all(within) && self.holes.iter().all(outside)
    }
}

#[cfg(test)]
mod tests {
    use atomlens_core::SeedPath;

    use super::*;

    fn kept(outline: &Outline) -> f64 {
        let places = (0..200).flat_map(|i| (0..200).map(move |j| DVec2::new(f64::from(i), f64::from(j)) - 99.5));
        places.filter(|&place| outline.keeps(place)).count() as f64
    }

    #[test]
    fn edges_and_holes_take_the_area_that_they_should() {
        let mut random = SeedPath::new(2).stream();
        let edge = EdgeSettings { count: 1.0.into(), direction: EdgeDirection::Armchair, ..EdgeSettings::default() };
        let edge = EdgeSettings { distance_fraction: 0.0.into(), roughness_angstrom: 3.0.into(), ..edge };
        let outline = Outline::sample(&edge, &HoleSettings::default(), [200.0; 2], &mut random).unwrap();
        // Half of the square; the roughness averages out but for a few angstrom along an edge of at most 231.
        assert!((kept(&outline) - 20_000.0).abs() < 700.0, "{}", kept(&outline));

        let hole = HoleSettings { count: 1.0.into(), radius_angstrom: 15.0.into(), irregularity_fraction: 0.1.into() };
        let outline = Outline::sample(&EdgeSettings::default(), &hole, [200.0; 2], &mut random).unwrap();
        // The area of r (1 + w) is pi r^2 (1 + <w^2>).
        let expected = PI * 225.0 * 1.01;
        assert!((40_000.0 - kept(&outline) - expected).abs() < 0.02 * expected, "{}", 40_000.0 - kept(&outline));
    }

    #[test]
    fn a_hole_of_negative_radius_is_refused() {
        let hole = HoleSettings { radius_angstrom: (-3.0).into(), ..HoleSettings::default() };
        let found = Outline::sample(&EdgeSettings::default(), &hole, [50.0; 2], &mut SeedPath::new(0).stream());
        assert!(found.unwrap_err().to_string().contains("hole.radius_angstrom = -3"));
    }
}
