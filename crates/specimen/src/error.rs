//! What can be wrong with the settings of a specimen.

/// A specimen that cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpecimenError {
    /// No tabulated value for this element; the recipe must give it.
    #[error("no tabulated {what} for {element}: give {key} in the recipe")]
    NotTabulated {
        /// What is missing, such as "fcc lattice constant".
        what: &'static str,
        /// The element.
        element: atomlens_core::Element,
        /// The recipe's key that supplies it.
        key: &'static str,
    },
    /// A setting out of its range.
    #[error("{key} = {found} is out of range: expected {expected}")]
    OutOfRange {
        /// The recipe's key.
        key: &'static str,
        /// What was found.
        found: String,
        /// What was expected.
        expected: &'static str,
    },
    /// What was asked for does not fit in the box.
    #[error(
        "the specimen spans {found_angstrom:.1} angstrom but the box only {box_angstrom:.1}: enlarge the field of view or shrink the specimen"
    )]
    TooLarge {
        /// Extent of the specimen with its margins, in angstrom.
        found_angstrom: f64,
        /// Extent of the box, in angstrom.
        box_angstrom: f64,
    },
    /// Nothing is left of the specimen.
    #[error("the specimen has no atoms: {reason}")]
    Empty {
        /// What removed them all, and what to do.
        reason: &'static str,
    },
    /// A structure without a usable cell where one is needed.
    #[error("the structure file has no {what}, which {key} needs: leave {key} out or use a file with a cell")]
    NoCell {
        /// What is missing, such as "cell".
        what: &'static str,
        /// The recipe's key that needs it.
        key: &'static str,
    },
    /// A body of kind "file" was to be built but its structure was not handed over.
    #[error("the body is the structure file {path}, but no structure was read from it: read the file first")]
    NoStructure {
        /// The recipe's path.
        path: String,
    },
}
