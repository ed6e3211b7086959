//! Event schemas, raw records and decoded events: the one table that writer and reader share.
