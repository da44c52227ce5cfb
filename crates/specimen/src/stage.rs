//! The stage: turns a body about the beam, tilts it, and puts it into the box of the simulation.
//!
//! The body comes on its zone axis, which is z. It is turned in the plane by the rotation angle, then tilted by the
//! tilt angle about an axis in the plane, `(cos a, sin a, 0)` for the azimuth `a` (so that the lower end moves at right
//! angles to it). Columns keep the atoms that they had on the zone axis; their place is the mean of where those
//! are after the tilt. The box is `[0, field_x) x [0, field_y) x [0, depth)` with vacuum above and below.

use atomlens_core::glam::{DMat3, DQuat, DVec2, DVec3};
use atomlens_core::{Atom, Cell, Column, ColumnRole, Distribution, SeedPath};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::{Body, Specimen, SpecimenError};

/// Where in the field of view a particle is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Placement {
    /// Anywhere that leaves the margin free.
    Random,
    /// In the middle.
    Centre,
}

/// Tilt, rotation and place of a body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StageSettings {
    /// Angle between the zone axis and the beam, in degree.
    pub tilt_degree: Distribution,
    /// Direction of the tilt axis from x, in degree.
    pub tilt_azimuth_degree: Distribution,
    /// Rotation about the beam, in degree, from x towards y.
    pub rotation_degree: Distribution,
    /// Free space between a particle and the edges of the field, in angstrom.
    pub margin_angstrom: Distribution,
    /// Where a particle is put; what fills the field is always centred.
    pub placement: Placement,
    /// Vacuum before the specimen along the beam, in angstrom.
    pub vacuum_before_angstrom: Distribution,
    /// Vacuum after it, in angstrom.
    pub vacuum_after_angstrom: Distribution,
}

impl Default for StageSettings {
    fn default() -> Self {
        StageSettings {
            tilt_degree: Distribution::Uniform(0.0, 2.0),
            tilt_azimuth_degree: Distribution::Uniform(0.0, 360.0),
            rotation_degree: Distribution::Uniform(0.0, 360.0),
            margin_angstrom: 5.0.into(),
            placement: Placement::Random,
            vacuum_before_angstrom: 2.0.into(),
            vacuum_after_angstrom: 2.0.into(),
        }
    }
}

impl StageSettings {
    /// A stage that leaves the orientation as it is and centres the body.
    pub fn untilted() -> StageSettings {
        StageSettings {
            tilt_degree: 0.0.into(),
            rotation_degree: 0.0.into(),
            placement: Placement::Centre,
            ..StageSettings::default()
        }
    }

    fn check(&self) -> Result<(), SpecimenError> {
        let lengths = [
            ("margin_angstrom", &self.margin_angstrom),
            ("vacuum_before_angstrom", &self.vacuum_before_angstrom),
            ("vacuum_after_angstrom", &self.vacuum_after_angstrom),
        ];
        for (key, knob) in lengths {
            let (least, most) = knob.range();
            if least < 0.0 || most > 1e4 {
                let found = format!("{least}..{most}");
                return Err(SpecimenError::OutOfRange { key, found, expected: "0 to 10000 angstrom" });
            }
        }
        Ok(())
    }

    fn sample_turn(&self, random: &mut impl Rng) -> DMat3 {
        let rotation = self.rotation_degree.sample(random).to_radians();
        let tilt = self.tilt_degree.sample(random).to_radians();
        let azimuth = self.tilt_azimuth_degree.sample(random).to_radians();
        let axis = DVec3::new(azimuth.cos(), azimuth.sin(), 0.0);
        DMat3::from_quat(DQuat::from_axis_angle(axis, tilt)) * DMat3::from_rotation_z(rotation)
    }

    /// Turns, tilts and places a body, and gathers its columns.
    ///
    /// A body that fills the field is centred and cropped to the box. Any other must fit with its margins; only its
    /// atoms in columns of [`ColumnRole::Support`] are cropped, and so are atoms in no column where there is a support.
    ///
    /// # Errors
    /// [`SpecimenError::TooLarge`] where a body does not fit, [`SpecimenError::Empty`] where no atom is left, or a knob
    /// out of range.
    pub fn place(&self, body: Body, field_angstrom: [f64; 2], seed: SeedPath) -> Result<Specimen, SpecimenError> {
        self.check()?;
        let Body { mut structure, roles, sheet, fills_field } = body;
        let mut random = seed.stream();
        let turn = self.sample_turn(&mut random);
        structure.rotate(turn, DVec3::ZERO);

        let field = DVec2::from_array(field_angstrom);
        let has_support = roles.contains(&ColumnRole::Support);
        let may_be_cropped = |atom: &Atom| {
            fills_field
                || match atom.column {
                    Some(column) => roles[column as usize] == ColumnRole::Support,
                    None => has_support,
                }
        };
        let margin = self.margin_angstrom.sample(&mut random);
        let free = DVec2::new(random.random(), random.random());
        let free = if self.placement == Placement::Centre { DVec2::splat(0.5) } else { free };
        let shift = if fills_field {
            field / 2.0
        } else {
            let mut places = structure.atoms.iter().filter(|atom| !may_be_cropped(atom)).map(in_plane);
            let first = places.next().ok_or(SpecimenError::Empty { reason: "the body has only a support" })?;
            let (low, high) = places.fold((first, first), |(low, high), place| (low.min(place), high.max(place)));
            let room = field - (high - low) - 2.0 * margin;
            if room.min_element() < 0.0 {
                let tight = usize::from(room.y < room.x);
                return Err(SpecimenError::TooLarge {
                    found_angstrom: (high - low)[tight] + 2.0 * margin,
                    box_angstrom: field[tight],
                });
            }
            margin + free * room - low
        };
        structure.translate(shift.extend(0.0));
        structure.atoms.retain(|atom| {
            let place = in_plane(atom);
            !may_be_cropped(atom) || (place.min_element() >= 0.0 && place.x < field.x && place.y < field.y)
        });

        let reason = "all of it lies outside the field of view";
        let (low, high) = structure.bounds_angstrom().ok_or(SpecimenError::Empty { reason })?;
        let before = self.vacuum_before_angstrom.sample(&mut random);
        let after = self.vacuum_after_angstrom.sample(&mut random);
        structure.translate(DVec3::Z * (before - low.z));
        // A single flat layer without vacuum would have a box of no depth.
        let depth = (high.z - low.z + before + after).max(1.0);
        structure.cell = Some(Cell::orthorhombic(field.extend(depth)));
        let columns = Column::gather(&mut structure, &roles);
        Ok(Specimen { structure, columns, sheet })
    }
}

fn in_plane(atom: &Atom) -> DVec2 {
    atom.position_angstrom.truncate()
}

#[cfg(test)]
mod tests {
    use atomlens_core::{Element, Structure};

    use super::*;

    /// `n` columns along x, 3 apart, of five atoms each, the last of them a support.
    fn rows(n: u32) -> Body {
        let middle = f64::from(n - 1) / 2.0;
        let atoms = (0..n)
            .flat_map(|i| {
                (0..5).map(move |k| Atom {
                    column: Some(i),
                    ..Atom::new(Element::CARBON, DVec3::new(3.0 * (f64::from(i) - middle), 0.0, 3.0 * f64::from(k)))
                })
            })
            .collect();
        let mut roles = vec![ColumnRole::Specimen; n as usize];
        roles[n as usize - 1] = ColumnRole::Support;
        Body { structure: Structure { atoms, cell: None }, roles, sheet: false, fills_field: false }
    }

    fn settings(text: &str) -> StageSettings {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn tilt_keeps_distances_and_moves_the_columns_with_their_atoms() {
        let body = rows(6);
        let stage = settings("tilt_degree = 10\nvacuum_before_angstrom = 3\nvacuum_after_angstrom = 1");
        let placed = stage.place(body.clone(), [60.0, 70.0], SeedPath::new(4)).unwrap();
        assert_eq!(placed.structure.atoms.len(), 30);
        for (a, b) in body.structure.atoms.iter().zip(&placed.structure.atoms) {
            for (c, d) in body.structure.atoms.iter().zip(&placed.structure.atoms) {
                let before = a.position_angstrom.distance(c.position_angstrom);
                assert!((b.position_angstrom.distance(d.position_angstrom) - before).abs() < 1e-10);
            }
        }
        // Along a column the lateral run is sin(10 degrees) of its length.
        let run = placed.structure.atoms[0].position_angstrom - placed.structure.atoms[4].position_angstrom;
        assert!((run.truncate().length() - 12.0 * 10.0_f64.to_radians().sin()).abs() < 1e-10);
        for (index, column) in placed.columns.iter().enumerate() {
            let atoms: Vec<_> =
                placed.structure.atoms.iter().filter(|atom| atom.column == Some(index as u32)).collect();
            let mean: DVec3 = atoms.iter().map(|atom| atom.position_angstrom).sum::<DVec3>() / atoms.len() as f64;
            assert!((mean.x - column.x_angstrom).abs() < 1e-10 && (mean.y - column.y_angstrom).abs() < 1e-10);
            assert_eq!((column.atom_count(), atoms.len()), (5, 5));
        }
        let (low, high) = placed.structure.bounds_angstrom().unwrap();
        let cell = placed.structure.cell.unwrap().as_orthorhombic().unwrap();
        assert_eq!((cell.x, cell.y), (60.0, 70.0));
        assert!((low.z - 3.0).abs() < 1e-10 && (cell.z - high.z - 1.0).abs() < 1e-10);
    }

    #[test]
    fn particles_stay_inside_the_margins_wherever_they_land() {
        let stage = settings("margin_angstrom = 4");
        let mut firsts = Vec::new();
        for seed in 0..50 {
            let placed = stage.place(rows(4), [30.0, 30.0], SeedPath::new(seed)).unwrap();
            for atom in placed.structure.atoms.iter().filter(|atom| placed_role(&placed, atom) == ColumnRole::Specimen)
            {
                let place = atom.position_angstrom;
                assert!((4.0 - 1e-9..=26.0 + 1e-9).contains(&place.x));
                assert!((4.0 - 1e-9..=26.0 + 1e-9).contains(&place.y));
            }
            firsts.push(placed.columns[0].x_angstrom);
        }
        firsts.sort_unstable_by(f64::total_cmp);
        assert!(firsts[49] - firsts[0] > 10.0);
    }

    fn placed_role(placed: &Specimen, atom: &Atom) -> ColumnRole {
        placed.columns[atom.column.unwrap() as usize].role
    }

    #[test]
    fn only_supports_and_what_fills_the_field_are_cropped() {
        // Five columns of specimen span 12; the support's column ends up outside a field of 12.5.
        let stage = StageSettings { margin_angstrom: 0.1.into(), ..StageSettings::untilted() };
        let placed = stage.place(rows(6), [12.5, 12.5], SeedPath::new(1)).unwrap();
        assert_eq!(placed.columns.len(), 5);
        assert_eq!(placed.structure.atoms.len(), 25);

        let error = stage.place(rows(7), [12.5, 12.5], SeedPath::new(1)).unwrap_err();
        let SpecimenError::TooLarge { found_angstrom, box_angstrom } = error else { panic!("{error}") };
        assert!((found_angstrom - 15.2).abs() < 1e-9 && box_angstrom == 12.5);

        let sheet = Body { fills_field: true, ..rows(7) };
        let placed = stage.place(sheet, [12.5, 12.5], SeedPath::new(1)).unwrap();
        // Columns at 6.25 + 3 k: k from -2 to 2.
        assert_eq!(placed.columns.len(), 5);
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        assert!(toml::from_str::<StageSettings>("tilt_rad = 1").unwrap_err().message().contains("tilt_degree"));
        let stage = settings("margin_angstrom = { uniform = [-1, 2] }");
        let error = stage.place(rows(3), [50.0, 50.0], SeedPath::new(1)).unwrap_err();
        assert!(error.to_string().contains("margin_angstrom"));
    }
}
