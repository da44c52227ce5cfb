//! Networks: their description, training, inference and files.

pub mod kernel;
