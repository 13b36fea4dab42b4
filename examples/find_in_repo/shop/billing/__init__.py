"""Billing: invoices, payments, reminders."""
