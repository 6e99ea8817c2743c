-- question: how sex, age and site are distributed over a cohort's folds, or over its given split
-- one row: one level of one variable in one fold
-- parameter: $by_split boolean = false  by the split that the cohort's SELECT gave
-- example: shown by `xray-mining cohort age_balanced`
with
described as (
    select
        members.patient_key,
        images.patient_sex,
        images.age_years,
        images.institution_key,
        case
            when $by_split then members.split else cast(members.fold as varchar)
        end as fold
    from members
    inner join images on members.image_key = images.image_key
),

long as (
    select
        fold,
        patient_key,
        1 as place,
        'patients' as variable,
        'all' as level
    from described
    union all
    select
        fold,
        patient_key,
        2 as place,
        'sex' as variable,
        coalesce(patient_sex, 'unknown') as level
    from described
    union all
    select
        fold,
        patient_key,
        3 as place,
        'age' as variable,
        coalesce(
            lpad(cast(cast(floor(age_years / 10) * 10 as integer) as varchar), 3, ' ')
            || if(age_years >= 90, ' and over', 's'),
            'unknown'
        ) as level
    from described
    union all
    select
        fold,
        patient_key,
        4 as place,
        'site' as variable,
        coalesce(left(cast(institution_key as varchar), 8), 'unknown') as level
    from described
)

select
    variable,
    trim(level) as level,
    fold,
    count(distinct patient_key) as patients
from long
group by place, variable, level, fold
order by place, level, fold
