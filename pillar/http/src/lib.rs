//! Web servers as pillar sources: Salt's `http_yaml` and `http_json`.
