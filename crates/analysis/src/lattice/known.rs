//! Lattices whose constants are known, as they look along the beam.
//!
//! A crystal seen along a zone axis `[uvw]` shows the reflections `hkl` of the zone law `hu + kv + lw = 0`, at the
//! frequencies `g = h a* + k b* + l c*` of the plane across the beam. Their strength here is kinematic,
//! `|sum_j Z_j exp(2 pi i (h x_j + k y_j + l z_j))|^2 / (1 + (g / g_0)^2)^2`: good enough to tell what must be there from
//! what may be missing, since focus and thickness change the rest.
//!
//! | lattice | structure | constants, angstrom | source |
//! |---|---|---|---|
//! | Al Ca Ni Cu Sr Rh Pd Ag Ce Yb Ir Pt Au Pb Th | fcc | a | Ashcroft and Mermin, *Solid State Physics* (1976), Table 4.1 |
//! | graphene | honeycomb | a 2.461 | Trucano and Chen 1975, doi:10.1038/258136a0 |
//! | hBN | honeycomb | a 2.504 | Pease 1952, doi:10.1107/S0365110X52001064 |
//! | MoS2, MoSe2 | 2H layer | a 3.160, 3.289 | Bronsema, de Boer, Jellinek 1986, doi:10.1002/zaac.19865400904 |
//! | WS2, WSe2 | 2H layer | a 3.1532, 3.282 | Schutte, de Boer, Jellinek 1987, doi:10.1016/0022-4596(87)90057-0 |
//! | MoTe2 | 2H layer | a 3.518 | Puotinen and Newnham 1961, doi:10.1107/S0365110X61002084 |
//! | CeO2 | fluorite | a 5.411 | ICDD PDF 34-0394 |
//! | MgO, NiO | rock salt | a 4.212, 4.177 | ICDD PDF 45-0946, 47-1049 |
//! | SrTiO3 | perovskite | a 3.905 | ICDD PDF 35-0734 |

use std::f64::consts::TAU;

use atomlens_core::Element;
use atomlens_core::glam::{DMat3, DVec2, DVec3};

/// Reflections closer than this (the reciprocal of the spacing, in 1 / angstrom) are listed: 0.8 angstrom.
const LARGEST_G_PER_ANGSTROM: f64 = 1.25;

/// Frequency at which the scattering of an atom has fallen to half, in 1 / angstrom, between light and heavy elements.
const HALF_SCATTERING_PER_ANGSTROM: f64 = 0.45;

/// Reflections weaker than this share of the strongest are left out.
const WEAKEST: f64 = 5e-3;

/// Fcc metals: symbol and cubic lattice constant in angstrom at room temperature.
const FCC_ANGSTROM: [(&str, f64); 15] = [
    ("Al", 4.05),
    ("Ca", 5.58),
    ("Ni", 3.52),
    ("Cu", 3.61),
    ("Sr", 6.08),
    ("Rh", 3.80),
    ("Pd", 3.89),
    ("Ag", 4.09),
    ("Ce", 5.16),
    ("Yb", 5.49),
    ("Ir", 3.84),
    ("Pt", 3.92),
    ("Au", 4.08),
    ("Pb", 4.95),
    ("Th", 5.08),
];

/// Layers of transition-metal dichalcogenides: name, metal, chalcogen, lattice constant in angstrom.
const DICHALCOGENIDES: [(&str, &str, &str, f64); 5] = [
    ("MoS2", "Mo", "S", 3.160),
    ("MoSe2", "Mo", "Se", 3.289),
    ("WS2", "W", "S", 3.1532),
    ("WSe2", "W", "Se", 3.282),
    ("MoTe2", "Mo", "Te", 3.518),
];

/// The zone axes in which a cubic crystal shows its lattice in a micrograph.
const CUBIC_ZONES: [[i32; 3]; 4] = [[1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 1, 2]];

/// A crystal with the zone axes in which it may be seen.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownLattice {
    /// What it is called, such as `Au` or `graphene`.
    pub name: String,
    /// How it looks along each axis.
    pub zones: Vec<Zone>,
}

/// A crystal seen along a zone axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone {
    /// The axis, such as `[110]`.
    pub label: String,
    /// Primitive vectors of the projected lattice, in angstrom.
    pub cell_angstrom: [DVec2; 2],
    /// Columns of the primitive cell.
    pub sites: Vec<Site>,
    /// Reflections in the plane across the beam, one of each Friedel pair, lowest frequency first.
    pub reflections: Vec<Reflection>,
}

/// A column of a projected cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    /// Place in units of the cell's two vectors, from 0 to 1.
    pub fractional: DVec2,
    /// Elements in the column, in the order of the crystal's atoms.
    pub elements: Vec<Element>,
}

/// A reflection.
#[derive(Debug, Clone, PartialEq)]
pub struct Reflection {
    /// Indices in the crystal's cell.
    pub hkl: [i32; 3],
    /// Frequency in the frame of [`Zone::cell_angstrom`], in 1 / angstrom.
    pub g_per_angstrom: DVec2,
    /// Kinematic intensity, the strongest being 1.
    pub strength: f64,
}

/// A name that stands for no lattice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown lattice {found:?}: expected one of {known}; others are made from their cell (KnownLattice::crystal)")]
pub struct UnknownLattice {
    /// What was found.
    pub found: String,
    known: String,
}

impl KnownLattice {
    /// The lattice of a name in the module's table, in the zone axes in which it is seen: `[110]`, `[100]`, `[111]` and
    /// `[112]` for cubic crystals, across the sheet for layers.
    pub fn named(name: &str) -> Result<KnownLattice, UnknownLattice> {
        if let Some((_, a)) = FCC_ANGSTROM.iter().find(|(symbol, _)| *symbol == name) {
            return Ok(Self::fcc(name, element(name), *a));
        }
        if let Some((_, metal, chalcogen, a)) = DICHALCOGENIDES.iter().find(|row| row.0 == name) {
            return Ok(Self::layer(name, *a, [&[element(metal)], &[element(chalcogen), element(chalcogen)]]));
        }
        match name {
            "graphene" => Ok(Self::layer(name, 2.461, [&[element("C")], &[element("C")]])),
            "hBN" => Ok(Self::layer(name, 2.504, [&[element("B")], &[element("N")]])),
            "CeO2" => {
                let mut atoms = fcc_atoms(element("Ce"), DVec3::ZERO);
                atoms.extend(fcc_atoms(element("O"), DVec3::splat(0.25)));
                atoms.extend(fcc_atoms(element("O"), DVec3::splat(0.75)));
                Ok(Self::crystal(name, DMat3::from_diagonal(DVec3::splat(5.411)), &atoms, &CUBIC_ZONES))
            }
            "MgO" | "NiO" => {
                let (metal, a) = if name == "MgO" { ("Mg", 4.212) } else { ("Ni", 4.177) };
                let mut atoms = fcc_atoms(element(metal), DVec3::ZERO);
                atoms.extend(fcc_atoms(element("O"), DVec3::new(0.5, 0.0, 0.0)));
                Ok(Self::crystal(name, DMat3::from_diagonal(DVec3::splat(a)), &atoms, &CUBIC_ZONES))
            }
            "SrTiO3" => {
                let oxygen = element("O");
                let atoms = [
                    (element("Sr"), DVec3::ZERO),
                    (element("Ti"), DVec3::splat(0.5)),
                    (oxygen, DVec3::new(0.5, 0.5, 0.0)),
                    (oxygen, DVec3::new(0.5, 0.0, 0.5)),
                    (oxygen, DVec3::new(0.0, 0.5, 0.5)),
                ];
                Ok(Self::crystal(name, DMat3::from_diagonal(DVec3::splat(3.905)), &atoms, &CUBIC_ZONES))
            }
            _ => Err(UnknownLattice { found: name.to_owned(), known: Self::names().join(", ") }),
        }
    }

    /// The names that [`KnownLattice::named`] knows.
    pub fn names() -> Vec<&'static str> {
        let metals = FCC_ANGSTROM.iter().map(|row| row.0);
        metals
            .chain(DICHALCOGENIDES.iter().map(|row| row.0))
            .chain(["graphene", "hBN", "CeO2", "MgO", "NiO", "SrTiO3"])
            .collect()
    }

    /// A face-centred cubic metal of a given lattice constant.
    pub fn fcc(name: &str, element: Element, a_angstrom: f64) -> KnownLattice {
        let cell = DMat3::from_diagonal(DVec3::splat(a_angstrom));
        Self::crystal(name, cell, &fcc_atoms(element, DVec3::ZERO), &CUBIC_ZONES)
    }

    /// A layer with two columns in a hexagonal cell, seen across it.
    pub fn layer(name: &str, a_angstrom: f64, columns: [&[Element]; 2]) -> KnownLattice {
        let cell = DMat3::from_cols(
            DVec3::new(a_angstrom, 0.0, 0.0),
            DVec3::new(-0.5 * a_angstrom, 0.75_f64.sqrt() * a_angstrom, 0.0),
            DVec3::new(0.0, 0.0, 10.0),
        );
        let places = [DVec3::new(1.0 / 3.0, 2.0 / 3.0, 0.5), DVec3::new(2.0 / 3.0, 1.0 / 3.0, 0.5)];
        let atoms: Vec<_> = columns
            .iter()
            .zip(places)
            .flat_map(|(elements, place)| elements.iter().map(move |element| (*element, place)))
            .collect();
        Self::crystal(name, cell, &atoms, &[[0, 0, 1]])
    }

    /// Any crystal: the columns of `cell_angstrom` are its cell's vectors, the atoms in units of these.
    ///
    /// # Panics
    /// If the cell has no volume, there is no atom, or an axis is `[000]`.
    pub fn crystal(name: &str, cell_angstrom: DMat3, atoms: &[(Element, DVec3)], axes: &[[i32; 3]]) -> KnownLattice {
        assert!(!atoms.is_empty(), "a crystal without atoms has no lattice");
        let zones = axes.iter().map(|axis| Zone::new(cell_angstrom, atoms, *axis)).collect();
        KnownLattice { name: name.to_owned(), zones }
    }
}

/// The element of a symbol that stands in this module.
fn element(symbol: &str) -> Element {
    symbol.parse().expect("the symbols of the tables are elements")
}

fn fcc_atoms(element: Element, origin: DVec3) -> Vec<(Element, DVec3)> {
    [DVec3::ZERO, DVec3::new(0.0, 0.5, 0.5), DVec3::new(0.5, 0.0, 0.5), DVec3::new(0.5, 0.5, 0.0)]
        .into_iter()
        .map(|place| (element, place + origin))
        .collect()
}

impl Zone {
    fn new(cell: DMat3, atoms: &[(Element, DVec3)], axis: [i32; 3]) -> Zone {
        assert!(axis != [0; 3], "[000] is no direction");
        assert!(cell.determinant().abs() > 1e-9, "the cell has no volume");
        let beam = (cell * DVec3::from(axis.map(f64::from))).normalize();
        let reciprocal = cell.inverse().transpose();
        let reach = (LARGEST_G_PER_ANGSTROM * cell.x_axis.length().max(cell.y_axis.length()).max(cell.z_axis.length()))
            .ceil() as i32;

        let mut found: Vec<([i32; 3], DVec3, f64)> = Vec::new();
        for h in 0..=reach {
            for k in -reach..=reach {
                for l in -reach..=reach {
                    // One of each Friedel pair: the first index that is not zero is positive.
                    if [h, k, l].into_iter().find(|&index| index != 0).unwrap_or(0) <= 0
                        || h * axis[0] + k * axis[1] + l * axis[2] != 0
                    {
                        continue;
                    }
                    let hkl = DVec3::new(f64::from(h), f64::from(k), f64::from(l));
                    let g = reciprocal * hkl;
                    if g.length() <= LARGEST_G_PER_ANGSTROM {
                        found.push(([h, k, l], g, intensity(atoms, hkl, g.length())));
                    }
                }
            }
        }
        let strongest = found.iter().map(|row| row.2).fold(0.0, f64::max);
        found.retain(|row| row.2 > WEAKEST * strongest);
        found.sort_by(|a, b| a.1.length().total_cmp(&b.1.length()).then(a.0.cmp(&b.0)));

        // x along the lowest reflection, z along the beam.
        let x = found.first().map_or_else(|| beam.any_orthonormal_vector(), |row| row.1.normalize());
        let y = beam.cross(x);
        let flat = |v: DVec3| DVec2::new(v.dot(x), v.dot(y));
        let reflections: Vec<Reflection> = found
            .into_iter()
            .map(|(hkl, g, strength)| Reflection { hkl, g_per_angstrom: flat(g), strength: strength / strongest })
            .collect();
        let dual = basis(&reflections.iter().map(|reflection| reflection.g_per_angstrom).collect::<Vec<_>>());
        let mut sites: Vec<Site> = Vec::new();
        for (element, place) in atoms {
            let at = flat(cell * *place);
            let fractional = DVec2::new(wrapped(dual[0].dot(at)), wrapped(dual[1].dot(at)));
            let same = |site: &&mut Site| {
                let apart = site.fractional - fractional;
                (apart - apart.round()).length() < 1e-4
            };
            match sites.iter_mut().find(same) {
                Some(site) => site.elements.push(*element),
                None => sites.push(Site { fractional, elements: vec![*element] }),
            }
        }
        let label = if axis.iter().any(|index| !(0..10).contains(index)) {
            format!("[{} {} {}]", axis[0], axis[1], axis[2])
        } else {
            format!("[{}{}{}]", axis[0], axis[1], axis[2])
        };
        Zone { label, cell_angstrom: dual_of(dual), sites, reflections }
    }

    /// Spacing of the widest fringes, in angstrom.
    pub fn largest_spacing_angstrom(&self) -> f64 {
        self.reflections.first().map_or(0.0, |reflection| reflection.g_per_angstrom.length().recip())
    }
}

fn intensity(atoms: &[(Element, DVec3)], hkl: DVec3, g: f64) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (element, place) in atoms {
        let (sin, cos) = (TAU * hkl.dot(*place)).sin_cos();
        let charge = f64::from(element.atomic_number());
        re += charge * cos;
        im += charge * sin;
    }
    (re * re + im * im) / (1.0 + (g / HALF_SCATTERING_PER_ANGSTROM).powi(2)).powi(2)
}

/// A fraction within 0 to 1, with 1 - rounding told as 0.
fn wrapped(fraction: f64) -> f64 {
    let wrapped = fraction.rem_euclid(1.0);
    if wrapped > 1.0 - 1e-6 { 0.0 } else { wrapped }
}

/// The vectors `a_i` with `a_i . b_j = 1` for `i = j`, else 0.
pub(crate) fn dual_of([b1, b2]: [DVec2; 2]) -> [DVec2; 2] {
    let area = b1.perp_dot(b2);
    [DVec2::new(b2.y, -b2.x) / area, DVec2::new(-b1.y, b1.x) / area]
}

/// A reduced basis of the lattice that vectors generate: Gauss' reduction of a pair, and Euclid's algorithm for each
/// vector that the pair does not give.
fn basis(vectors: &[DVec2]) -> [DVec2; 2] {
    let first = vectors[0];
    let second = vectors.iter().copied().find(|v| first.perp_dot(*v).abs() > 1e-6).expect("a zone has two directions");
    let mut pair = reduced([first, second]);
    let mut rest: Vec<DVec2> = vectors.to_vec();
    while let Some(vector) = rest.pop() {
        let dual = dual_of(pair);
        let remainder = vector - pair[0] * dual[0].dot(vector).round() - pair[1] * dual[1].dot(vector).round();
        if remainder.length() > 1e-6 {
            rest.extend(pair);
            let other = if remainder.perp_dot(pair[0]).abs() > 1e-9 { pair[0] } else { pair[1] };
            pair = reduced([remainder, other]);
        }
    }
    pair
}

/// The shortest pair that generates the same lattice, right-handed.
pub(crate) fn reduced([mut a, mut b]: [DVec2; 2]) -> [DVec2; 2] {
    loop {
        if b.length_squared() < a.length_squared() * (1.0 - 1e-12) {
            (a, b) = (b, a);
        }
        let steps = (a.dot(b) / a.length_squared()).round();
        // A tie (an angle of exactly 60 degrees) must not turn in circles.
        if steps == 0.0 || (b - a * steps).length_squared() >= b.length_squared() * (1.0 - 1e-12) {
            break;
        }
        b -= a * steps;
    }
    if a.perp_dot(b) < 0.0 { [a, -b] } else { [a, b] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spacings(lattice: &str, zone: &str) -> Vec<(f64, f64)> {
        let lattice = KnownLattice::named(lattice).unwrap();
        let zone = lattice.zones.iter().find(|z| z.label == zone).unwrap();
        let g0 = zone.reflections[0].g_per_angstrom;
        let angle = |g: DVec2| g0.angle_to(g).to_degrees().rem_euclid(180.0);
        zone.reflections.iter().map(|r| (r.g_per_angstrom.length().recip(), angle(r.g_per_angstrom))).collect()
    }

    #[test]
    fn textbook_patterns() {
        // Angles and ratios of the standard zone-axis patterns of fcc crystals: Williams and Carter, *Transmission
        // Electron Microscopy* (2009), fig. 18.18; d values of gold from its powder pattern (ICDD PDF 04-0784).
        let close = |found: (f64, f64), d: f64, angle: f64| (found.0 - d).abs() < 5e-3 && (found.1 - angle).abs() < 0.1;
        let p110 = spacings("Au", "[110]");
        assert!(close(p110[0], 2.355, 0.0));
        assert!(close(p110[1], 2.355, 70.53) || close(p110[1], 2.355, 109.47), "{p110:?}");
        assert!(close(p110[2], 2.039, 54.74) || close(p110[2], 2.039, 125.26), "{p110:?}");
        let p100 = spacings("Au", "[100]");
        assert!(close(p100[0], 2.039, 0.0) && close(p100[1], 2.039, 90.0), "{p100:?}");
        let p111 = spacings("Au", "[111]");
        assert!(close(p111[0], 1.442, 0.0) && close(p111[1], 1.442, 60.0) && close(p111[2], 1.442, 120.0), "{p111:?}");
        let p112 = spacings("Au", "[112]");
        assert!(close(p112[0], 2.355, 0.0) && close(p112[1], 1.442, 90.0), "{p112:?}");
        let graphene = spacings("graphene", "[001]");
        assert!((graphene[0].0 - 2.1313).abs() < 1e-3 && (graphene[3].0 - 1.2305).abs() < 1e-3);
        assert!((spacings("MoS2", "[001]")[0].0 - 2.737).abs() < 1e-3);
        assert!((spacings("CeO2", "[110]")[0].0 - 3.124).abs() < 1e-3);
    }

    #[test]
    fn projected_cells_hold_their_columns() {
        let area = |zone: &Zone| zone.cell_angstrom[0].perp_dot(zone.cell_angstrom[1]);
        let gold = KnownLattice::named("Au").unwrap();
        // Projected area of a column in fcc: the primitive volume over the distance between atoms along the axis.
        let volume = 4.08_f64.powi(3) / 4.0;
        for (zone, distance) in gold.zones.iter().zip([0.5_f64.sqrt(), 1.0, 3.0_f64.sqrt(), 1.5_f64.sqrt()]) {
            assert_eq!(zone.sites.len(), 1, "{}", zone.label);
            assert!((area(zone) / (volume / (4.08 * distance)) - 1.0).abs() < 1e-6, "{}: {}", zone.label, area(zone));
        }
        let graphene = &KnownLattice::named("graphene").unwrap().zones[0];
        assert_eq!(graphene.sites.len(), 2);
        let apart = graphene.sites[1].fractional - graphene.sites[0].fractional;
        let bond = (-1..=1)
            .flat_map(|n| (-1..=1).map(move |m| (n, m)))
            .map(|(n, m)| {
                let [a1, a2] = graphene.cell_angstrom;
                (a1 * (apart.x + f64::from(n)) + a2 * (apart.y + f64::from(m))).length()
            })
            .fold(f64::MAX, f64::min);
        assert!((bond - 1.4209).abs() < 1e-3, "{bond}");
        let layer = &KnownLattice::named("MoS2").unwrap().zones[0];
        assert_eq!(layer.sites.iter().map(|site| site.elements.len()).collect::<Vec<_>>(), [1, 2]);
        // Along [110] cerium and oxygen stand in columns of their own: one and two columns to the primitive cell.
        let ceria = KnownLattice::named("CeO2").unwrap();
        assert_eq!(ceria.zones[0].sites.len(), 3);
    }

    #[test]
    fn every_name_gives_a_lattice_and_others_are_refused() {
        for name in KnownLattice::names() {
            let lattice = KnownLattice::named(name).unwrap();
            assert!(lattice.zones.iter().all(|zone| zone.reflections.len() >= 3), "{name}");
        }
        assert!(KnownLattice::named("Unobtainium").unwrap_err().to_string().contains("graphene"));
    }
}
