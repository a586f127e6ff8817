"""The ledger as a whole: `eventcore --app examples.ledger.app:app …`."""

from eventcore.app import App
from examples.ledger.account import accounts
from examples.ledger.days import balances_by_day

app = App("ledger", [accounts], projections=[balances_by_day])
