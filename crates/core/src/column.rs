//! Atomic columns: the truth that a detector is judged by.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Element, Structure};

/// What a column is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnRole {
    /// The particle or layer that is looked at.
    Specimen,
    /// The crystalline support under or beside it.
    Support,
}

/// A column of atoms along the beam.
///
/// Its place is the mean of its atoms' places, after tilt and displacement; which atoms belong to
/// it is decided on the zone axis, before the tilt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Mean place of the atoms along x, in angstrom.
    pub x_angstrom: f64,
    /// Mean place of the atoms along y, in angstrom.
    pub y_angstrom: f64,
    /// Lowest z of its atoms (the beam enters at low z), in angstrom.
    pub z_low_angstrom: f64,
    /// Highest z of its atoms, in angstrom.
    pub z_high_angstrom: f64,
    /// Number of atoms of each element.
    pub atoms: BTreeMap<Element, u32>,
    /// Specimen or support.
    pub role: ColumnRole,
}

impl Column {
    /// Number of atoms of all elements.
    pub fn atom_count(&self) -> u32 {
        self.atoms.values().sum()
    }

    /// What the column is called in tables. In a crystal (`sheet` false) the elements it contains, heaviest first:
    /// `Au`, `CeO`. In a layered sheet (`sheet` true) the count is part of the species, since there one atom
    /// more or less is another defect: `Mo`, `S2`, `S`.
    pub fn species(&self, sheet: bool) -> String {
        self.atoms
            .iter()
            .rev()
            .map(|(element, &count)| if sheet && count > 1 { format!("{element}{count}") } else { element.to_string() })
            .collect()
    }

    /// Gathers the columns of a structure from its atoms' `column` indices, which must run from 0
    /// without gaps up to `roles.len()`; `roles[i]` is the role of column `i`. Columns that have lost
    /// all their atoms are left out, and the indices in the structure are renumbered to match.
    pub fn gather(structure: &mut Structure, roles: &[ColumnRole]) -> Vec<Column> {
        struct Sum {
            x: f64,
            y: f64,
            z_low: f64,
            z_high: f64,
            atoms: BTreeMap<Element, u32>,
        }
        let mut sums: Vec<Option<Sum>> = roles.iter().map(|_| None).collect();
        for atom in &structure.atoms {
            let Some(index) = atom.column else { continue };
            let place = atom.position_angstrom;
            let sum = sums[index as usize].get_or_insert_with(|| Sum {
                x: 0.0,
                y: 0.0,
                z_low: f64::INFINITY,
                z_high: f64::NEG_INFINITY,
                atoms: BTreeMap::new(),
            });
            sum.x += place.x;
            sum.y += place.y;
            sum.z_low = sum.z_low.min(place.z);
            sum.z_high = sum.z_high.max(place.z);
            *sum.atoms.entry(atom.element).or_insert(0) += 1;
        }
        let mut renumbered = vec![None; roles.len()];
        let mut columns = Vec::new();
        for (index, sum) in sums.into_iter().enumerate() {
            let Some(sum) = sum else { continue };
            renumbered[index] = Some(columns.len() as u32);
            let count = f64::from(sum.atoms.values().sum::<u32>());
            columns.push(Column {
                x_angstrom: sum.x / count,
                y_angstrom: sum.y / count,
                z_low_angstrom: sum.z_low,
                z_high_angstrom: sum.z_high,
                atoms: sum.atoms,
                role: roles[index],
            });
        }
        for atom in &mut structure.atoms {
            atom.column = atom.column.and_then(|index| renumbered[index as usize]);
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use glam::DVec3;

    use super::*;
    use crate::Atom;

    fn atom(symbol: &str, z: f64, column: u32) -> Atom {
        Atom { column: Some(column), ..Atom::new(symbol.parse().unwrap(), DVec3::new(1.0, 2.0 + z, z)) }
    }

    #[test]
    fn columns_are_gathered_and_renumbered() {
        let mut structure =
            Structure { atoms: vec![atom("Mo", 0.0, 2), atom("S", 1.0, 0), atom("S", -1.0, 0)], cell: None };
        let columns = Column::gather(&mut structure, &[ColumnRole::Specimen; 3]);
        assert_eq!(columns.len(), 2);
        assert_eq!(columns[0].species(true), "S2");
        assert_eq!(columns[0].species(false), "S");
        assert_eq!((columns[0].z_low_angstrom, columns[0].z_high_angstrom), (-1.0, 1.0));
        assert_eq!(columns[0].y_angstrom, 2.0);
        assert_eq!(columns[1].species(true), "Mo");
        assert_eq!(structure.atoms[0].column, Some(1));
        assert_eq!(structure.atoms[1].column, Some(0));
    }
}
