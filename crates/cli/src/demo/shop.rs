//! The demo's master record: a SQLite database with one table of customers.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::exit::{Failure, UNAVAILABLE};

/// The customer whose changes the stories follow.
pub(crate) const ADA: i64 = 1;

/// The shop's database.
#[derive(Debug)]
pub(crate) struct Shop {
    path: PathBuf,
    connection: Connection,
}

impl Shop {
    /// Makes the database with a few customers.
    pub(crate) fn open(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join("shop.db");
        let connection = Connection::open(&path).map_err(failed)?;
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 5000;
                 CREATE TABLE customers (
                   id INTEGER PRIMARY KEY, email TEXT, phone TEXT, city TEXT, postal_code TEXT,
                   payment_token TEXT, home_store TEXT);
                 INSERT INTO customers VALUES
                   (1, 'ada@example.org', '+15550100', 'Graz', '8010', NULL, 'graz-1'),
                   (2, 'bob@example.org', '+15550101', 'Linz', '4020', NULL, 'linz-1');",
            )
            .map_err(failed)?;
        Ok(Self { path, connection })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Sets one column of one customer.
    pub(crate) fn set(&self, id: i64, column: &'static str, value: &str) -> Result<(), Failure> {
        let sql = format!("UPDATE customers SET {column} = ?2 WHERE id = ?1");
        self.connection.execute(&sql, (id, value)).map_err(failed)?;
        Ok(())
    }

    /// Adds a customer.
    pub(crate) fn add(&self, id: i64, email: &str) -> Result<(), Failure> {
        let sql = "INSERT INTO customers (id, email, city, home_store) VALUES (?1, ?2, 'Wien', 'wien-1')";
        self.connection.execute(sql, (id, email)).map_err(failed)?;
        Ok(())
    }

    /// Rows that the source still holds for the engine.
    pub(crate) fn outbox_rows(&self) -> Result<i64, Failure> {
        let sql = "SELECT count(*) FROM _writ_changes";
        self.connection.query_row(sql, [], |row| row.get(0)).map_err(failed)
    }
}

fn failed(error: rusqlite::Error) -> Failure {
    Failure::plain(format!("demo shop: {error}"), UNAVAILABLE)
}
