//! The page's types, made from the view models.
