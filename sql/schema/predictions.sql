-- question: which predictions are scored
-- one row: one prediction for one unit that was tested, from its unchanged picture; all_predictions
-- holds those for validation units and for changed pictures too
-- example: select avg(abs(value - truth)) from predictions where experiment = 'age_ridge'
create or replace view predictions as
select *
from all_predictions
where split = 'test' and variant = '';
