//! The columns as extended XYZ, which ASE, OVITO and VESTA open: an atom a column, with what is known of it.

use std::fmt::Write;
use std::path::Path;

use atomlens_core::DetectedColumn;

use crate::WorkflowError;
use crate::train::folder::write_bytes;

/// Writes the columns of one frame. `elements` says which element stands for each species.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn write(path: &Path, columns: &[DetectedColumn], elements: &[String]) -> Result<(), WorkflowError> {
    let mut text = String::new();
    let _ = writeln!(text, "{}", columns.len());
    let _ = writeln!(
        text,
        "Properties=species:S:1:pos:R:3:probability:R:1:position_sigma:R:1:atoms_in_column:R:1 pbc=\"F F F\" \
         comment=\"one atom for each column found by atomlens; x to the right, y down the image, in angstrom\""
    );
    for column in columns {
        let _ = writeln!(
            text,
            "{} {:.4} {:.4} 0.0000 {:.4} {:.4} {:.2}",
            elements[column.species],
            column.x_angstrom,
            column.y_angstrom,
            column.probability,
            column.position_sigma_angstrom,
            column.atoms
        );
    }
    write_bytes(path, text.as_bytes())
}

/// The element that stands for each species: the species itself where it is one, else what the lattice says, else `X`,
/// which ASE reads as an unknown atom.
pub(crate) fn elements(species: &[String], lattice: Option<&str>) -> Vec<String> {
    let known = |symbol: &str| symbol.parse::<atomlens_core::Element>().is_ok();
    // MoS2 -> Mo and S; Au -> Au.
    let parts: Vec<String> = lattice.map(symbols).unwrap_or_default();
    species
        .iter()
        .map(|species| match species.as_str() {
            symbol if known(symbol) => symbol.to_owned(),
            // Of a support's lattice nothing follows for the particle.
            "metal" if parts.len() != 1 => "X".to_owned(),
            "metal" | "M" => parts.first().cloned().unwrap_or_else(|| "X".to_owned()),
            "X2" | "X" => parts.get(1).cloned().unwrap_or_else(|| "X".to_owned()),
            _ => "X".to_owned(),
        })
        .collect()
}

/// The elements of a formula in their order.
fn symbols(formula: &str) -> Vec<String> {
    let mut symbols: Vec<String> = Vec::new();
    for character in formula.chars() {
        if character.is_ascii_uppercase() {
            symbols.push(character.to_string());
        } else if character.is_ascii_lowercase()
            && let Some(last) = symbols.last_mut()
        {
            last.push(character);
        }
    }
    symbols.retain(|symbol| symbol.parse::<atomlens_core::Element>().is_ok());
    symbols
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_named_where_they_are_known() {
        let names = |species: &[&str], lattice| {
            elements(&species.iter().map(|&name| name.to_owned()).collect::<Vec<_>>(), lattice)
        };
        assert_eq!(names(&["metal", "support"], Some("Au")), ["Au", "X"]);
        assert_eq!(names(&["C", "B", "N", "M", "X2", "X"], Some("MoS2")), ["C", "B", "N", "Mo", "S", "S"]);
        assert_eq!(names(&["metal"], None), ["X"]);
        assert_eq!(names(&["metal"], Some("CeO2")), ["X"]);
        assert_eq!(names(&["C"], Some("graphene")), ["C"]);
    }
}
