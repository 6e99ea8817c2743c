-- check: BAL001 note cohort
-- question: a maker makes up a share of the test split that differs by over 10 % from training
-- one row: one maker with its shares
-- example: xray-mining check age_balanced
with
counted as (
    select
        coalesce(images.manufacturer, 'unknown') as maker,
        count(*) filter (where members.split = 'train') as in_training,
        count(*) filter (where members.split = 'test') as in_test
    from members
    inner join images on members.image_key = images.image_key
    group by maker
),

shares as (
    select
        maker,
        in_training / sum(in_training) over () as share_in_training,
        in_test / sum(in_test) over () as share_in_test
    from counted
)

select *
from shares
where abs(share_in_training - share_in_test) > 0.1
order by maker
