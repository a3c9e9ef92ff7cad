//! Runs the functions in one process: HTTP, cron and MQTT triggers, key-value on SQLite.
