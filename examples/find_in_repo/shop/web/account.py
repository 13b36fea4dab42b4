"""The customer's account: addresses and past invoices (shown here, made in billing)."""


def invoice_rows(invoices: list[dict[str, str]]) -> str:
    rows = [f"<tr><td>{i['number']}</td><td>{i['total']}</td></tr>" for i in invoices]
    return "<table>" + "".join(rows) + "</table>"
