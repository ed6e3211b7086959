//! The pipeline from raw records to sentences: inventory, enrichment, outputs.
