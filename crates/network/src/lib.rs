//! Networks: their description, training, inference and files.
