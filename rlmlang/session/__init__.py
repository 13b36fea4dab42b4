"""Where a run is started: settings, a session of one program, and the functions that Python is offered."""

from rlmlang.session.entry import arun as arun
from rlmlang.session.entry import check as check
from rlmlang.session.entry import prepare as prepare
from rlmlang.session.entry import run as run
from rlmlang.session.estimates import Estimate as Estimate
from rlmlang.session.estimates import bound as bound
from rlmlang.session.estimates import estimate as estimate
from rlmlang.session.session import Running as Running
from rlmlang.session.session import Session as Session
from rlmlang.session.settings import Settings as Settings
from rlmlang.session.settings import configuration as configuration
from rlmlang.session.settings import memo_path as memo_path
from rlmlang.session.settings import models_of as models_of
from rlmlang.session.settings import processes_of as processes_of
from rlmlang.session.settings import usable_model as usable_model
