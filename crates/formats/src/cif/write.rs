//! From a structure to a CIF.

use std::io::Write;
use std::path::Path;

use atomlens_core::Structure;

use crate::FormatError;
use crate::whole_file::write_whole_file;

/// Writes a structure as CIF: the space group P 1, every atom of the cell with its own label.
///
/// A CIF is periodic along all three axes and has no orientation: whoever reads it puts `a` along x
/// and `b` into the plane of x and y. A cell that lies so already comes back unchanged.
///
/// # Errors
/// [`FormatError::CannotHold`] for a structure without a cell, with a left-handed cell (it would
/// come back as its mirror image), or with a coordinate that is not finite; [`FormatError::Write`]
/// if the disk refuses.
pub fn write_cif(path: &Path, structure: &Structure) -> Result<(), FormatError> {
    let Some(cell) = &structure.cell else {
        return Err(FormatError::cannot_hold(
            path,
            "the structure has no cell, which a CIF needs: write extended XYZ (.xyz) instead",
        ));
    };
    let volume = cell.volume_cubic_angstrom();
    if volume.is_nan() || volume <= 0.0 {
        return Err(FormatError::cannot_hold(
            path,
            format!(
                "the cell is left-handed or flat (volume {volume} cubic angstrom), which a CIF cannot say: \
                 write extended XYZ (.xyz) instead"
            ),
        ));
    }
    let to_fractional = cell.vectors_angstrom.inverse();
    let mut places = Vec::with_capacity(structure.atoms.len());
    for (index, atom) in structure.atoms.iter().enumerate() {
        let place = to_fractional * atom.position_angstrom;
        if !place.is_finite() {
            return Err(FormatError::cannot_hold(
                path,
                format!("atom {index} is at {}, which is no place", atom.position_angstrom),
            ));
        }
        places.push(place);
    }
    let moving = structure.atoms.iter().any(|atom| atom.rms_displacement_angstrom.is_some());
    let mut counts = std::collections::BTreeMap::new();
    for atom in &structure.atoms {
        *counts.entry(atom.element).or_insert(0u32) += 1;
    }
    let formula: Vec<String> = counts.iter().map(|(element, count)| format!("{element}{count}")).collect();
    write_whole_file(path, |file| {
        writeln!(file, "data_atomlens")?;
        // A CIF's lines end at 2048 characters; a formula has at most 103 elements.
        writeln!(file, "_chemical_formula_sum '{}'", formula.join(" "))?;
        for (name, length) in ["a", "b", "c"].iter().zip(cell.lengths_angstrom()) {
            writeln!(file, "_cell_length_{name} {length:.10}")?;
        }
        for (name, angle) in ["alpha", "beta", "gamma"].iter().zip(cell.angles_degree()) {
            writeln!(file, "_cell_angle_{name} {angle:.10}")?;
        }
        writeln!(file, "_cell_volume {volume:.6}")?;
        writeln!(file, "_space_group_name_H-M_alt 'P 1'\n_space_group_IT_number 1\n")?;
        writeln!(file, "loop_\n_space_group_symop_operation_xyz\n'x, y, z'\n")?;
        write!(
            file,
            "loop_\n_atom_site_label\n_atom_site_type_symbol\n_atom_site_fract_x\n_atom_site_fract_y\n\
             _atom_site_fract_z\n_atom_site_occupancy\n"
        )?;
        if moving {
            writeln!(file, "_atom_site_U_iso_or_equiv")?;
        }
        let mut numbers = std::collections::BTreeMap::new();
        for (atom, place) in structure.atoms.iter().zip(&places) {
            let number = numbers.entry(atom.element).or_insert(0u32);
            *number += 1;
            // Adding 0 keeps a negative zero from being written.
            let [x, y, z] = place.to_array().map(|v| (v * 1e12).round() / 1e12 + 0.0);
            write!(file, "{0}{number} {0} {x:.12} {y:.12} {z:.12} {1:.6}", atom.element, atom.occupancy)?;
            if moving {
                match atom.rms_displacement_angstrom {
                    Some(rms) => write!(file, " {:.8}", rms * rms)?,
                    None => write!(file, " .")?,
                }
            }
            writeln!(file)?;
        }
        Ok(())
    })
}
