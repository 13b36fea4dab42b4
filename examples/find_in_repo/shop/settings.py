"""Settings of the shop, read once at the start."""

import os

DATABASE = os.environ.get("SHOP_DATABASE", "shop.sqlite")
CURRENCY = "EUR"
VAT_PERCENT = 20
BILLING_SENDER = "billing@shop.example"
